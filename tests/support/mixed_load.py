"""Everything that clients do, a little of each, for as long as it is wanted.

The load leaves nothing behind: it overwrites and deletes within a fixed set of keys, lets leases
end and closes what it opens. So what a server holds must not grow with time, and what does grow is
the server's. Restarts of the server are part of the load: calls wait for it to come back.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import grpc
import httpx2

from decube.pb.etcd import rpc_pb2, rpc_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.node import NodeProcess

KEYS = 2_000
PREFIX = b"soak/"
PREFIX_END = b"soak0"
VALUE_BYTES_MAX = 4096
CALL_SECONDS_MAX = 60.0
# Longer than a restart takes, or the lease of a step that it cut in two would be gone.
LEASE_TTL_S = 15
# Channels to one address would share it otherwise.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
# Calls that a restart cuts off; `wait_for_ready` covers those that begin while there is no server.
# INTERNAL is what grpc.aio calls a write to a stream that has just ended.
CUT_OFF = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL}


class MixedLoad:
    """Clients of every kind; each begins a step of its own every `pause_s`, or when it can.

    A pause between steps would let the load, and what a server holds for it, follow the machine's
    other work.
    """

    def __init__(self, node: NodeProcess, *, pause_s: float, tidy: bool = True) -> None:
        self.node = node
        self.pause_s = pause_s
        # Whether it closes and deletes what it is done with; else it leaks on purpose.
        self.tidy = tidy
        self.steps = 0
        self.cut_off: list[str] = []
        self._left_behind: list[object] = []

    async def run(self) -> None:
        """Load the server until cancelled."""
        base = f"http://{self.node.rest_address}"
        unkept = httpx2.Limits(max_keepalive_connections=0)
        async with (
            httpx2.AsyncClient(base_url=base, timeout=CALL_SECONDS_MAX, limits=unkept) as client,
            asyncio.TaskGroup() as tasks,
        ):

            async def pod(step: int, _channel: grpc.aio.Channel) -> None:
                await self.pod(step, client)

            for kind in (self.write, self.transact, self.read, self.watch, self.lease, pod):
                tasks.create_task(self.forever(kind), name=kind.__name__)

    async def forever(self, kind: Callable[[int, grpc.aio.Channel], Awaitable[None]]) -> None:
        async with grpc.aio.insecure_channel(self.node.etcd_address) as channel:
            due = time.monotonic()
            for step in itertools.count():
                due = max(due + self.pause_s, time.monotonic())
                try:
                    await kind(step, channel)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in CUT_OFF:
                        raise
                    self.cut_off.append(f"{kind.__name__} {step}: {error.details()}")
                except httpx2.HTTPError as error:
                    self.cut_off.append(f"{kind.__name__} {step}: {error!r}")
                self.steps += 1
                await asyncio.sleep(due - time.monotonic())

    async def write(self, step: int, channel: grpc.aio.Channel) -> None:
        """Overwrite a key, and delete another one."""
        kv = rpc_pb2_grpc.KVStub(channel)
        value = bytes([step % 251]) * (step * 61 % VALUE_BYTES_MAX)
        put = rpc_pb2.PutRequest(key=key(step), value=value)
        await kv.Put(put, timeout=CALL_SECONDS_MAX, wait_for_ready=True)
        gone = rpc_pb2.DeleteRangeRequest(key=key(step + KEYS // 2))
        await kv.DeleteRange(gone, timeout=CALL_SECONDS_MAX, wait_for_ready=True)

    async def transact(self, step: int, channel: grpc.aio.Channel) -> None:
        """Update a key as Kubernetes does: read it, then compare and put."""
        kv = rpc_pb2_grpc.KVStub(channel)
        target = key(step * 7)
        read = rpc_pb2.RangeRequest(key=target)
        found = await kv.Range(read, timeout=CALL_SECONDS_MAX, wait_for_ready=True)
        revision = found.kvs[0].mod_revision if found.kvs else 0
        put = rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=target, value=b"t" * 500))
        compare = rpc_pb2.Compare(
            key=target, target=rpc_pb2.Compare.MOD, result=rpc_pb2.Compare.EQUAL
        )
        compare.mod_revision = revision
        request = rpc_pb2.TxnRequest(compare=[compare], success=[put])
        await kv.Txn(request, timeout=CALL_SECONDS_MAX, wait_for_ready=True)

    async def read(self, step: int, channel: grpc.aio.Channel) -> None:
        """Read a page."""
        page = rpc_pb2.RangeRequest(key=key(step), range_end=PREFIX_END, limit=100)
        await rpc_pb2_grpc.KVStub(channel).Range(
            page, timeout=CALL_SECONDS_MAX, wait_for_ready=True
        )

    async def watch(self, step: int, _channel: grpc.aio.Channel) -> None:
        """Connect, watch everything until the next event, and go."""
        channel = grpc.aio.insecure_channel(self.node.etcd_address, OWN_CONNECTION)
        call = rpc_pb2_grpc.WatchStub(channel).Watch(wait_for_ready=True)
        create = rpc_pb2.WatchCreateRequest(key=PREFIX, range_end=PREFIX_END, prev_kv=True)
        await call.write(rpc_pb2.WatchRequest(create_request=create))
        events = 0
        while not events:
            events = len((await call.read()).events)
        if self.tidy:
            call.cancel()
            await channel.close()
        else:
            self._left_behind.append((step, channel, call))

    async def lease(self, step: int, channel: grpc.aio.Channel) -> None:
        """Grant a lease with a key, renew it once, and end it or let it run out."""
        stub = rpc_pb2_grpc.LeaseStub(channel)
        ask = rpc_pb2.LeaseGrantRequest(TTL=LEASE_TTL_S if self.tidy else 100_000)
        granted = await stub.LeaseGrant(ask, timeout=CALL_SECONDS_MAX, wait_for_ready=True)
        name = key(step) if self.tidy else b"left/%d" % step
        put = rpc_pb2.PutRequest(key=b"lease/" + name, value=b"l" * 50_000, lease=granted.ID)
        await rpc_pb2_grpc.KVStub(channel).Put(put, timeout=CALL_SECONDS_MAX, wait_for_ready=True)
        renewals = stub.LeaseKeepAlive(timeout=CALL_SECONDS_MAX)
        await renewals.write(rpc_pb2.LeaseKeepAliveRequest(ID=granted.ID))
        await renewals.read()
        renewals.cancel()
        if self.tidy and step % 2:
            await stub.LeaseRevoke(
                rpc_pb2.LeaseRevokeRequest(ID=granted.ID), timeout=CALL_SECONDS_MAX
            )

    async def pod(self, step: int, client: httpx2.AsyncClient) -> None:
        """Create a pod over REST, read it and delete it, each on a connection of its own."""
        name = f"soak-{step}"
        made = await client.post("/api/v1/pods", json={"name": name})
        # A restart may have left the pod of a step that it cut in two.
        if made.is_success or made.status_code == HTTPStatus.CONFLICT:
            (await client.get(f"/api/v1/pods/{name}")).raise_for_status()
            (await client.delete(f"/api/v1/pods/{name}")).raise_for_status()
        else:
            made.raise_for_status()


def key(number: int) -> bytes:
    return PREFIX + b"%06d" % (number % KEYS)
