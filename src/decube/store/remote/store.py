"""The store behind any etcd v3 endpoints, over grpcio.

Reads, and what is idempotent, are tried again within their deadline when an endpoint fails; a
transaction or a grant that was sent is not: it may have been executed, so it raises `Unavailable`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self, TypeVar

import grpc

from decube.kit.backoff import Backoff
from decube.kit.clock import SystemClock
from decube.kit.errors import Closed, DecubeError, NotFound, TooLarge, Unavailable, Unimplemented
from decube.pb.etcd import rpc_pb2 as rpc
from decube.store.remote.codec import decode_range, decode_txn, encode_range, encode_txn
from decube.store.remote.connection import Connection
from decube.store.remote.errors import translate
from decube.store.remote.watch import RemoteWatch
from decube.store.types import (
    NO_LEASE,
    Alarm,
    LeaseGrant,
    LeaseId,
    LeaseStatus,
    Revision,
    StoreStatus,
    lease_not_found,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from decube.kit.clock import Clock
    from decube.store.protocol import StoreImage
    from decube.store.remote.connection import Member
    from decube.store.remote.options import RemoteOptions
    from decube.store.types import (
        RangeRequest,
        RangeResult,
        Txn,
        TxnResult,
        WatchBatch,
        WatchRequest,
    )

Request = TypeVar("Request")
Response = TypeVar("Response")

_SYSTEM_CLOCK = SystemClock()


class RemoteStore:
    """A `Store` on an etcd cluster. Belongs to the event loop it was made on."""

    backend = "etcd"

    def __init__(self, options: RemoteOptions, clock: Clock = _SYSTEM_CLOCK) -> None:
        self._options = options
        self._clock = clock
        self._connection = Connection(options, clock)
        self._watches: set[RemoteWatch] = set()

    @classmethod
    async def connect(cls, options: RemoteOptions, clock: Clock = _SYSTEM_CLOCK) -> Self:
        """Make a store and ask it for its status, so that one that is not there is told at once.

        Raises `Unavailable` when no endpoint answers within `request_timeout_s`, and `Invalid` for
        certificates that cannot be read.
        """
        store = cls(options, clock)
        try:
            await store.status()
        except BaseException:
            await store.close()
            raise
        return store

    async def range(self, request: RangeRequest) -> RangeResult:
        """Read keys; see `Store.range`."""
        message = encode_range(request)
        return decode_range(
            await self._call(lambda member: member.kv.Range, message, idempotent=True)
        )

    async def txn(self, request: Txn) -> TxnResult:
        """Evaluate a transaction; see `Store.txn`."""
        message = encode_txn(request)
        limit_bytes = self._options.request_bytes_max
        if message.ByteSize() > limit_bytes:
            raise TooLarge(
                f"the transaction has {message.ByteSize()} bytes, more than {limit_bytes}",
                limit_bytes=limit_bytes,
            )
        return decode_txn(await self._call(lambda member: member.kv.Txn, message))

    @asynccontextmanager
    async def watch(self, request: WatchRequest) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        """Open a watch that outlives its streams; see `Store.watch`."""
        self._require_open()
        watch = RemoteWatch(self._connection, self._options, self._clock, request)
        self._watches.add(watch)
        try:
            async with watch:
                yield watch
        finally:
            self._watches.discard(watch)

    async def lease_grant(self, ttl_s: int, lease_id: LeaseId | None = None) -> LeaseGrant:
        """Grant a lease; see `Store.lease_grant`."""
        message = rpc.LeaseGrantRequest(TTL=ttl_s, ID=lease_id or NO_LEASE)
        answer = await self._call(lambda member: member.lease.LeaseGrant, message)
        return LeaseGrant(LeaseId(answer.ID), answer.TTL)

    async def lease_keep_alive(self, lease_id: LeaseId) -> int:
        """Renew a lease; see `Store.lease_keep_alive`."""
        deadline_s = self._deadline_s()
        member = await self._connection.connected(deadline_s)
        call = member.lease.LeaseKeepAlive(timeout=self._left_s(deadline_s))
        try:
            await call.write(rpc.LeaseKeepAliveRequest(ID=lease_id))
            answer = await call.read()
        except grpc.aio.AioRpcError as error:
            raise self._failure(error, member) from error
        except asyncio.CancelledError:
            self._raise_if_closed()
            raise
        finally:
            call.cancel()
        if not isinstance(answer, rpc.LeaseKeepAliveResponse):
            raise Unavailable("the store ended the stream")
        if answer.TTL <= 0:
            raise lease_not_found(lease_id)
        return answer.TTL

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        """End a lease; see `Store.lease_revoke`."""
        message = rpc.LeaseRevokeRequest(ID=lease_id)
        try:
            answer = await self._call(lambda member: member.lease.LeaseRevoke, message)
        except NotFound as error:
            raise lease_not_found(lease_id) from error
        return Revision(answer.header.revision)

    async def lease_status(self, lease_id: LeaseId, *, with_keys: bool = False) -> LeaseStatus:
        """Look at a lease; see `Store.lease_status`."""
        message = rpc.LeaseTimeToLiveRequest(ID=lease_id, keys=with_keys)
        answer = await self._call(
            lambda member: member.lease.LeaseTimeToLive, message, idempotent=True
        )
        if answer.TTL < 0:
            raise lease_not_found(lease_id)
        return LeaseStatus(
            LeaseId(answer.ID), answer.TTL, answer.grantedTTL, tuple(sorted(answer.keys))
        )

    async def leases(self) -> tuple[LeaseId, ...]:
        """List all live leases, in order."""
        answer = await self._call(
            lambda member: member.lease.LeaseLeases, rpc.LeaseLeasesRequest(), idempotent=True
        )
        return tuple(sorted(LeaseId(lease.ID) for lease in answer.leases))

    async def compact(self, revision: Revision, *, physical: bool = False) -> None:
        """Forget history; see `Store.compact`. With `physical` wait until nothing is left of it."""
        message = rpc.CompactionRequest(revision=revision, physical=physical)
        await self._call(lambda member: member.kv.Compact, message)

    async def alarms(self) -> tuple[Alarm, ...]:
        """List the alarms that are raised."""
        message = rpc.AlarmRequest(action=rpc.AlarmRequest.GET)
        answer = await self._call(lambda member: member.maintenance.Alarm, message, idempotent=True)
        return tuple(
            Alarm(raised.memberID, rpc.AlarmType.Name(raised.alarm)) for raised in answer.alarms
        )

    async def disarm(self, alarm: Alarm) -> None:
        """End an alarm; one that is not raised is none to end."""
        message = rpc.AlarmRequest(
            action=rpc.AlarmRequest.DEACTIVATE,
            memberID=alarm.member_id,
            alarm=rpc.AlarmType.Value(alarm.name),
        )
        await self._call(lambda member: member.maintenance.Alarm, message, idempotent=True)

    @asynccontextmanager
    async def image(self, *, history: bool = False) -> AsyncIterator[StoreImage]:
        """Open an image, which is read page by page; see `Store.image`."""
        if history:
            raise Unimplemented("etcd hands out no history: take an image of what is live")
        # With the extension module, which a command line that writes a key does not need.
        from decube.store.remote.image import RemoteImage  # noqa: PLC0415

        image = await RemoteImage.open(self, self._clock)
        try:
            yield image
        finally:
            await image.close()

    async def status(self) -> StoreStatus:
        """Tell what the member in use says of itself."""
        answer = await self._call(
            lambda member: member.maintenance.Status, rpc.StatusRequest(), idempotent=True
        )
        return StoreStatus(
            backend=self.backend,
            version=answer.version,
            revision=Revision(answer.header.revision),
            db_size_bytes=answer.dbSize,
            db_size_in_use_bytes=answer.dbSizeInUse,
            cluster_id=answer.header.cluster_id,
            member_id=answer.header.member_id,
            term=answer.header.raft_term,
        )

    async def close(self) -> None:
        """Close the channels; calls and watches under way end with `Closed`."""
        self._connection.closed = True
        for watch in tuple(self._watches):
            await watch.close()
        await self._connection.close()

    async def _call(
        self,
        method: Callable[[Member], grpc.aio.UnaryUnaryMultiCallable[Request, Response]],
        request: Request,
        *,
        idempotent: bool = False,
    ) -> Response:
        deadline_s = self._deadline_s()
        backoff = Backoff(self._options.backoff, clock=self._clock)
        while True:
            member = await self._connection.connected(deadline_s)
            try:
                return await method(member)(request, timeout=self._left_s(deadline_s))
            except grpc.aio.AioRpcError as error:
                failure = self._failure(error, member)
                delay_s = backoff.next_delay_s()
                late = self._clock.monotonic_s() + delay_s >= deadline_s or self._gives_up(backoff)
                if not idempotent or not isinstance(failure, Unavailable) or late:
                    raise failure from error
            except asyncio.CancelledError:
                self._raise_if_closed()
                raise
            await self._clock.sleep(delay_s)

    def _gives_up(self, backoff: Backoff) -> bool:
        return not self._options.patient and backoff.failures >= len(self._options.endpoints)

    def _failure(self, error: grpc.aio.AioRpcError, member: Member) -> DecubeError:
        failure = translate(error, request_bytes_max=self._options.request_bytes_max)
        if isinstance(failure, Unavailable):
            self._connection.leave(member)
        return failure

    def _raise_if_closed(self) -> None:
        """Turn a cancel into `Closed` when closing the channel caused it, not the caller."""
        task = asyncio.current_task()
        if self._connection.closed and (task is None or not task.cancelling()):
            raise Closed("the store was closed during the call") from None

    def _require_open(self) -> None:
        if self._connection.closed:
            raise Closed("the store is closed")

    def _deadline_s(self) -> float:
        return self._clock.monotonic_s() + self._options.request_timeout_s

    def _left_s(self, deadline_s: float) -> float:
        return max(0.0, deadline_s - self._clock.monotonic_s())
