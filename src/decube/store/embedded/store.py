"""The store in this process: the engine behind the extension module, on one event loop.

Writes are queued with a ticket and answered in batches, one wake-up of the loop for a group commit.
Point reads run in place (microseconds); ranges run on two threads, and their results become Python
objects a page at a time, so that a long list stalls nobody. Cancelling a call abandons the answer,
never the write.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from decube import _native
from decube.kit.errors import Closed, Exhausted, NotFound
from decube.store.embedded.codec import decode_key_values, decode_txn, encode_txn
from decube.store.embedded.errors import translate
from decube.store.embedded.image import EmbeddedImage, install_image
from decube.store.embedded.listener import EtcdListener
from decube.store.embedded.replication import Replication
from decube.store.embedded.watch import EmbeddedWatch
from decube.store.types import (
    NO_LEASE,
    LeaseGrant,
    LeaseId,
    LeaseStatus,
    RangeResult,
    Revision,
    StoreStatus,
    lease_not_found,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping

    from decube.store.embedded.options import EmbeddedOptions, EtcdListenerOptions
    from decube.store.embedded.replication import ReplicationOptions
    from decube.store.image_files import ImagePiece
    from decube.store.protocol import StoreImage
    from decube.store.types import RangeRequest, Txn, TxnResult, WatchBatch, WatchRequest

RANGE_THREADS = 2
RANGES_WAITING_MAX = 1_000
PAGE_RECORDS = 1_000


class EmbeddedStore:
    """A `Store` in this process. Belongs to the event loop and the process it was opened in."""

    def __init__(self, engine: _native.Engine, options: EmbeddedOptions) -> None:
        self.backend = options.backend
        self._engine = engine
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._tickets = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._watches: dict[int, EmbeddedWatch] = {}
        self._threads = ThreadPoolExecutor(RANGE_THREADS, thread_name_prefix="decube-range")
        self._ranges_waiting = 0
        self._closing: asyncio.Task[None] | None = None
        self._pid = os.getpid()
        self._loop.add_reader(engine.fileno(), self._take)

    @classmethod
    async def open(cls, options: EmbeddedOptions) -> Self:
        """Open the store, recovering what its log holds.

        Raises `Unavailable` (`reason` `locked`: another process has it), `Denied` or `Exhausted`
        (the directory cannot be written), `Corrupt`, and `Unimplemented` for a newer format.
        """
        opening = asyncio.get_running_loop().run_in_executor(None, _native.Engine.open, options)
        try:
            return cls(await asyncio.shield(opening), options)
        except _native.StoreError as error:
            raise translate(error) from None
        except asyncio.CancelledError:
            # The thread cannot be stopped: wait for it, so that the directory is free afterwards.
            engine = await opening
            await asyncio.to_thread(engine.close)
            raise

    async def range(self, request: RangeRequest) -> RangeResult:
        """Read keys; see `Store.range`."""
        if not request.range.end:
            answer = self._read(request)
        else:
            if self._ranges_waiting >= RANGES_WAITING_MAX:
                raise Exhausted("too many ranges are being read", reason="overload")
            self._require_open()
            self._ranges_waiting += 1
            reading = self._loop.run_in_executor(self._threads, self._read, request)
            reading.add_done_callback(self._range_done)
            answer = await reading
        kvs = decode_key_values(answer.take(PAGE_RECORDS))
        if len(kvs) == PAGE_RECORDS:
            pages = [kvs]
            while page := answer.take(PAGE_RECORDS):
                await asyncio.sleep(0)
                pages.append(decode_key_values(page))
            kvs = tuple(itertools.chain.from_iterable(pages))
        return RangeResult(Revision(answer.revision), kvs, answer.count, answer.more)

    async def txn(self, request: Txn) -> TxnResult:
        """Evaluate a transaction; see `Store.txn`."""
        compares, success, failure = encode_txn(request)
        return decode_txn(
            request,
            await self._submit(
                lambda ticket: self._engine.submit_txn(ticket, compares, success, failure)
            ),
        )

    @asynccontextmanager
    async def watch(self, request: WatchRequest) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        """Open a watch; see `Store.watch`."""
        keys = request.range
        try:
            native = self._engine.watch(keys.key, keys.end, request.start_revision, request.prev_kv)
        except _native.StoreError as error:
            raise translate(error) from None
        watch = EmbeddedWatch(native, request, self._options.watch_progress_interval_s)
        self._watches[watch.id] = watch
        try:
            yield watch
        finally:
            del self._watches[watch.id]
            watch.close()

    async def lease_grant(self, ttl_s: int, lease_id: LeaseId | None = None) -> LeaseGrant:
        """Grant a lease; see `Store.lease_grant`."""
        wanted = lease_id or NO_LEASE
        granted = await self._submit(
            lambda ticket: self._engine.submit_lease_grant(ticket, wanted, ttl_s)
        )
        return LeaseGrant(*granted)

    async def lease_keep_alive(self, lease_id: LeaseId) -> int:
        """Renew a lease; see `Store.lease_keep_alive`."""
        ttl_s: int = await self._submit(
            lambda ticket: self._engine.submit_lease_keep_alive(ticket, lease_id)
        )
        if ttl_s <= 0:
            raise lease_not_found(lease_id)
        return ttl_s

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        """End a lease; see `Store.lease_revoke`."""
        try:
            return Revision(
                await self._submit(
                    lambda ticket: self._engine.submit_lease_revoke(ticket, lease_id)
                )
            )
        except NotFound as error:
            raise lease_not_found(lease_id) from error

    async def lease_status(self, lease_id: LeaseId, *, with_keys: bool = False) -> LeaseStatus:
        """Look at a lease; see `Store.lease_status`."""
        try:
            remaining_s, granted_s, keys = self._engine.lease_status(lease_id, with_keys)
        except _native.StoreError as error:
            failure = translate(error)
            raise (
                lease_not_found(lease_id) if isinstance(failure, NotFound) else failure
            ) from None
        return LeaseStatus(lease_id, remaining_s, granted_s, tuple(keys))

    async def leases(self) -> tuple[LeaseId, ...]:
        """List all live leases, in order."""
        try:
            return tuple(map(LeaseId, self._engine.leases()))
        except _native.StoreError as error:
            raise translate(error) from None

    async def compact(self, revision: Revision) -> None:
        """Forget history; see `Store.compact`."""
        await self._submit(lambda ticket: self._engine.submit_compact(ticket, revision))

    @asynccontextmanager
    async def image(self, *, history: bool = False) -> AsyncIterator[StoreImage]:
        """Open an image; see `Store.image`."""
        try:
            image = EmbeddedImage(await asyncio.to_thread(self._engine.open_image, history))
        except _native.StoreError as error:
            raise translate(error) from None
        try:
            yield image
        finally:
            await image.close()

    async def restore(self, pieces: AsyncIterable[ImagePiece]) -> Revision:
        """Go back to what was live in an image, and return the store's new revision.

        It is above all that were ever handed out, and what was before it is compacted: watches end
        so. Nothing is changed until all of the image was read and found good, and nothing if this
        is cancelled before. Raises `Corrupt`, `Unimplemented` for a newer format, `Exhausted` and
        `Denied` when it cannot be written, `NotLeader` on a standby, and what its files raise.
        """
        try:
            return await install_image(self._engine, "restore", pieces)
        except _native.StoreError as error:
            raise translate(error) from None

    async def status(self) -> StoreStatus:
        """Tell what the store is and how big."""
        figures = self.statistics()
        return StoreStatus(
            backend=self.backend,
            version=_native.__version__,
            revision=Revision(figures["revision"]),
            db_size_bytes=figures["db_size_bytes"],
            db_size_in_use_bytes=figures["db_size_in_use_bytes"],
            cluster_id=figures["cluster_id"],
            member_id=figures["member_id"],
            term=figures["term"],
        )

    def statistics(self) -> Mapping[str, int]:
        """Return all the engine's figures by name, for metrics."""
        try:
            return self._engine.status()
        except _native.StoreError as error:
            raise translate(error) from None

    def is_primary(self) -> bool:
        """Tell whether replication made it the primary; that outlives the process."""
        try:
            return self._engine.is_primary()
        except _native.StoreError as error:
            raise translate(error) from None

    def troubles(self) -> tuple[str | None, str | None]:
        """Tell why writes are refused, and why a checkpoint or the log's upkeep failed last."""
        try:
            return self._engine.troubles()
        except _native.StoreError as error:
            raise translate(error) from None

    async def replicate(self, options: ReplicationOptions) -> Replication:
        """Take a part in replication, before the etcd port is served; see `Replication.start`."""
        return await Replication.start(self._engine, options)

    async def serve_etcd(self, options: EtcdListenerOptions) -> EtcdListener:
        """Serve etcd's API on this store, from threads of the Rust core.

        Raises `Unavailable` (`reason` `address_in_use`) and `Denied` when it cannot listen there,
        and `Invalid` when its certificates cannot be used.
        """
        try:
            listener = await asyncio.to_thread(self._engine.serve_etcd, options)
        except _native.StoreError as error:
            raise translate(error) from None
        return EtcdListener(listener)

    async def close(self) -> None:
        """Answer what is queued, end the watches, let go of the directory."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(), name="decube store close")
        # A cancelled closer does not leave the store half closed.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await asyncio.to_thread(self._engine.close)
        self._take()
        self._loop.remove_reader(self._engine.fileno())
        closed = Closed("the store was closed")
        for future in self._pending.values():
            if not future.done():
                future.set_exception(closed)
        for watch in tuple(self._watches.values()):
            watch.close(closed)
        self._threads.shutdown(wait=False)

    def _read(self, request: RangeRequest) -> _native.RangeAnswer:
        try:
            return self._engine.range(
                request.range.key,
                request.range.end,
                request.limit,
                request.revision,
                request.keys_only,
                request.count_only,
            )
        except _native.StoreError as error:
            raise translate(error) from None

    def _range_done(self, _reading: asyncio.Future[_native.RangeAnswer]) -> None:
        self._ranges_waiting -= 1

    async def _submit(self, send: Callable[[int], None]) -> Any:  # noqa: ANN401 - the caller knows
        """Queue a command and wait for its answer; a caller that is cancelled abandons it."""
        ticket = next(self._tickets)
        try:
            send(ticket)
        except _native.StoreError as error:
            raise translate(error) from None
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._pending[ticket] = answer
        try:
            return await answer
        finally:
            del self._pending[ticket]

    def _take(self) -> None:
        """Hand out the answers of a group commit, and wake the watches that have something."""
        answers, ready = self._engine.take()
        for ticket, answer in answers:
            future = self._pending.get(ticket)
            if future is None or future.done():
                continue
            if isinstance(answer, _native.StoreError):
                future.set_exception(translate(answer))
            else:
                future.set_result(answer)
        for watch_id in ready:
            watch = self._watches.get(watch_id)
            if watch is not None:
                watch.wake()

    def _require_open(self) -> None:
        if self._closing is not None:
            raise Closed("the store is closed")
