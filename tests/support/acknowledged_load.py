"""A load that remembers what was acknowledged, and can tell whether a store still has it.

Many clients write at once over etcd's API: new keys, overwrites, transactions of two keys, deletes.
Each key belongs to one client, so the order of its acknowledgements is known. A write whose answer
never came may have happened or not; after a crash either is right, anything else is a loss.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from decube.kit.errors import require
from decube.pb.etcd import rpc_pb2, rpc_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = b"crash/"
PREFIX_END = b"crash0"
ANSWER_SECONDS_MAX = 10.0
MESSAGE_BYTES_MAX = 256 << 20

# A value as it should stand in the store; None is "no such key".
State = bytes | None


@dataclass
class Ledger:
    """What clients were told: per key the acknowledged state, and what may have come after it."""

    acknowledged: dict[bytes, State] = field(default_factory=dict)
    unknown: dict[bytes, State] = field(default_factory=dict)
    revision: int = 0
    writes: int = 0
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledge(self, effects: dict[bytes, State], revision: int) -> None:
        """Note that a client was told of these effects."""
        for key, state in effects.items():
            self.acknowledged[key] = state
            del self.unknown[key]
        self.revision = max(self.revision, revision)
        self.writes += 1
        self.progress.set()

    async def wait_until_written(self, writes: int) -> None:
        """Wait until that many transactions were acknowledged in all."""
        while self.writes < writes:
            self.progress.clear()
            await self.progress.wait()

    def losses(self, found: dict[bytes, bytes]) -> list[str]:
        """Name every key that is neither as acknowledged nor as an unanswered write left it."""
        wrong = []
        for key in self.acknowledged.keys() | found.keys() | self.unknown.keys():
            allowed = {self.acknowledged.get(key)}
            if key in self.unknown:
                allowed.add(self.unknown[key])
            if found.get(key) not in allowed:
                wrong.append(f"{key!r}: found {found.get(key)!r}, allowed {allowed!r}")
        return wrong

    def settle(self, found: dict[bytes, bytes]) -> None:
        """Take what the store has for the truth about the unanswered writes."""
        for key in self.unknown:
            self.acknowledged[key] = found.get(key)
        self.unknown.clear()


class AcknowledgedLoad:
    """Clients that write until their server goes away."""

    def __init__(self, ledger: Ledger, *, clients: int = 16) -> None:
        self.ledger = ledger
        self.clients = clients

    async def run(self, endpoint: str, round_number: int) -> None:
        """Write as fast as the answers come; return when the server is gone."""
        async with grpc.aio.insecure_channel(endpoint) as channel:
            stub = rpc_pb2_grpc.KVStub(channel)
            await asyncio.gather(
                *(self.client(stub, f"{round_number}/{name}") for name in range(self.clients))
            )

    async def client(self, stub: rpc_pb2_grpc.KVAsyncStub, name: str) -> None:
        for request, effects in steps(name):
            self.ledger.unknown.update(effects)
            try:
                answer = await stub.Txn(request, timeout=ANSWER_SECONDS_MAX)
            except grpc.aio.AioRpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE:
                    return
                raise
            self.ledger.acknowledge(effects, answer.header.revision)


def steps(name: str) -> Iterator[tuple[rpc_pb2.TxnRequest, dict[bytes, State]]]:
    """Yield a client's endless transactions, each with the states it leaves behind."""
    hot = PREFIX + f"{name}/hot".encode()
    number = 0
    while True:
        number += 1
        fresh = PREFIX + f"{name}/{number:06}".encode()
        value = f"{name} {number}".encode() * 8
        operations = [put(fresh, value), put(hot, value)]
        effects: dict[bytes, State] = {fresh: value, hot: value}
        if number % 3 == 0:
            gone = PREFIX + f"{name}/{number - 1:06}".encode()
            operations.append(
                rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=gone))
            )
            effects[gone] = None
        yield rpc_pb2.TxnRequest(success=operations), effects


def put(key: bytes, value: bytes) -> rpc_pb2.RequestOp:
    return rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=key, value=value))


async def read_all(endpoint: str) -> tuple[dict[bytes, bytes], int]:
    """Read every key of the load, and the store's revision."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    async with grpc.aio.insecure_channel(endpoint, options=options) as channel:
        stub = rpc_pb2_grpc.KVStub(channel)
        request = rpc_pb2.RangeRequest(key=PREFIX, range_end=PREFIX_END)
        answer = await stub.Range(request, timeout=ANSWER_SECONDS_MAX, wait_for_ready=True)
    return {kv.key: kv.value for kv in answer.kvs}, answer.header.revision


class Follower:
    """A watcher that resumes where it stopped, and keeps what it was sent."""

    def __init__(self, start_revision: int = 1) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self.next_revision = start_revision

    async def follow(self, endpoint: str, until: int | None = None) -> None:
        """Collect events until the server goes away, or until revision `until` has come."""
        create = rpc_pb2.WatchCreateRequest(
            key=PREFIX, range_end=PREFIX_END, start_revision=self.next_revision
        )
        async with grpc.aio.insecure_channel(endpoint) as channel:
            stream = rpc_pb2_grpc.WatchStub(channel).Watch(wait_for_ready=True)
            try:
                await stream.write(rpc_pb2.WatchRequest(create_request=create))
                while until is None or self.next_revision <= until:
                    self.take(await stream.read())
            except grpc.aio.AioRpcError as error:
                if until is not None or error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            finally:
                stream.cancel()

    def seen_through(self, revision: int) -> list[tuple[int, bytes]]:
        """Return the events up to and including a revision."""
        return [event for event in self.seen if event[0] <= revision]

    def take(self, answer: rpc_pb2.WatchResponse) -> None:
        """Keep the events of one answer; a cancelled watch would be a loss."""
        require(not answer.canceled, f"the watch was cancelled: {answer.cancel_reason!r}")
        for event in answer.events:
            self.seen.append((event.kv.mod_revision, event.kv.key))
            self.next_revision = event.kv.mod_revision + 1
