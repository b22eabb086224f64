"""One watch on a remote store, across as many streams as it takes.

A task reads the stream, puts whole revisions into a bounded queue and, when the stream breaks,
opens another from the first revision not yet queued. A consumer that does not read fills the
queue; the task then stops reading, and HTTP/2's flow control holds the server back. Cancelling a
consumer's `anext` loses nothing, because only the task touches the stream.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc

from decube.kit.backoff import Backoff
from decube.kit.errors import Closed, DecubeError, Internal, Unavailable
from decube.pb.etcd import rpc_pb2 as rpc
from decube.store.remote.codec import decode_event
from decube.store.remote.errors import cancelled_watch, translate
from decube.store.types import Revision, WatchBatch

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from decube.kit.clock import Clock
    from decube.store.remote.connection import Connection
    from decube.store.remote.options import RemoteOptions
    from decube.store.types import Event, WatchRequest

    Call = grpc.aio.StreamStreamCall[rpc.WatchRequest, rpc.WatchResponse]

# A member cut off from its cluster then ends the watch instead of keeping silent.
_METADATA = (("hasleader", "true"),)


class RemoteWatch:
    """An iterator of batches, to be entered first; entering waits until the watch is accepted."""

    def __init__(
        self, connection: Connection, options: RemoteOptions, clock: Clock, request: WatchRequest
    ) -> None:
        self._connection = connection
        self._options = options
        self._clock = clock
        self._request = request
        # The first revision not yet queued; 0 until the store has said where "now" is.
        self._next_revision: int = request.start_revision
        # Events of a revision whose last fragment has not come yet.
        self._partial: list[Event] = []
        self._heard = False
        self._queue: asyncio.Queue[WatchBatch | DecubeError] = asyncio.Queue(
            options.watch_queue_batches_max
        )
        self._failure: DecubeError | None = None
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read_until_it_fails(), name="decube remote watch")
        try:
            await self._accepted
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchBatch:
        if self._failure is not None:
            raise self._failure
        item = await self._queue.get()
        if isinstance(item, DecubeError):
            self._failure = item
            raise item
        return item

    async def close(self) -> None:
        """End the watch because the store closes; its consumer is told at once."""
        self._failure = Closed("the store was closed")
        await self._stop()
        if not self._accepted.done():
            self._accepted.set_exception(self._failure)
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(self._failure)

    async def _stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def _read_until_it_fails(self) -> None:
        backoff = Backoff(self._options.backoff, clock=self._clock)
        deadline_s = self._clock.monotonic_s() + self._options.request_timeout_s
        while True:
            self._heard = False
            try:
                await self._read_stream(deadline_s)
            except Unavailable as error:
                now_s = self._clock.monotonic_s()
                if self._heard:
                    backoff.reset()
                    deadline_s = now_s + self._options.watch_resume_timeout_s
                delay_s = backoff.next_delay_s()
                if now_s + delay_s >= deadline_s:
                    await self._fail(error)
                    return
                await self._clock.sleep(delay_s)
            except DecubeError as error:
                await self._fail(error)
                return
            except Exception as error:  # noqa: BLE001 - the root of a task: its consumer waits for it
                defect = Internal(f"a watch failed: {type(error).__name__}: {error}")
                defect.__cause__ = error
                await self._fail(defect)
                return

    async def _fail(self, error: DecubeError) -> None:
        if self._accepted.done():
            await self._queue.put(error)
        else:
            self._accepted.set_exception(error)

    async def _read_stream(self, deadline_s: float) -> None:
        """Follow one stream until it breaks, which raises; the deadline is for its beginning."""
        member = await self._connection.connected(deadline_s)
        call: Call = member.watch.Watch(metadata=_METADATA)
        progress: asyncio.Task[None] | None = None
        self._partial.clear()
        try:
            async with asyncio.timeout(max(0.0, deadline_s - self._clock.monotonic_s())):
                await call.write(self._create_request())
                self._take_created(await _read(call))
            if self._request.progress:
                progress = asyncio.create_task(self._ask_for_progress(call))
            while True:
                await self._take(await _read(call))
        except grpc.aio.AioRpcError as error:
            self._connection.leave(member)
            raise translate(error, request_bytes_max=self._options.request_bytes_max) from error
        except (TimeoutError, Unavailable) as error:
            self._connection.leave(member)
            raise Unavailable(f"the watch was lost: {error}") from error
        finally:
            call.cancel()
            if progress is not None:
                progress.cancel()
                await asyncio.wait([progress])

    def _create_request(self) -> rpc.WatchRequest:
        return rpc.WatchRequest(
            create_request=rpc.WatchCreateRequest(
                key=self._request.range.key,
                range_end=self._request.range.end,
                start_revision=self._next_revision,
                prev_kv=self._request.prev_kv,
                # Even when the consumer wants none: an idle watch then survives compactions.
                progress_notify=True,
                fragment=True,
            )
        )

    def _take_created(self, response: rpc.WatchResponse) -> None:
        if response.canceled:
            raise cancelled_watch(response.cancel_reason, response.compact_revision)
        if not response.created:
            raise Unavailable("the store answered a new watch with something else")
        if self._next_revision == 0:
            self._next_revision = response.header.revision + 1
        self._heard = True
        if not self._accepted.done():
            self._accepted.set_result(None)

    async def _take(self, response: rpc.WatchResponse) -> None:
        if response.canceled:
            raise cancelled_watch(response.cancel_reason, response.compact_revision)
        if not response.events:
            await self._take_progress(response.header.revision)
            return
        # What was handed out before a reconnect never is again, whatever the server sends.
        self._partial += [
            decode_event(event)
            for event in response.events
            if event.kv.mod_revision >= self._next_revision
        ]
        whole = self._partial
        if response.fragment:
            unfinished = response.events[-1].kv.mod_revision
            whole = [event for event in whole if event.kv.mod_revision < unfinished]
        self._partial = self._partial[len(whole) :]
        if whole:
            revision = whole[-1].kv.mod_revision
            await self._queue.put(WatchBatch(revision, tuple(whole)))
            self._next_revision = revision + 1

    async def _take_progress(self, revision: int) -> None:
        """Go on to a revision without events, except before a start that lies in the future."""
        if revision + 1 < self._next_revision:
            return
        if self._request.progress:
            await self._queue.put(WatchBatch(Revision(revision)))
        self._next_revision = revision + 1

    async def _ask_for_progress(self, call: Call) -> None:
        """Ask now and then; the answer comes behind all events it speaks for."""
        request = rpc.WatchRequest(progress_request=rpc.WatchProgressRequest())
        # A broken stream is the reader's business.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await self._clock.sleep(self._options.watch_progress_interval_s)
                await call.write(request)


async def _read(call: Call) -> rpc.WatchResponse:
    response = await call.read()
    if isinstance(response, rpc.WatchResponse):
        return response
    raise Unavailable("the store ended the stream")
