"""A standby's store: what it answers itself, what its primary does for it, what it refuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.stores import Scene, embedded, take_events

from decube.kit.errors import Closed, NotLeader, Unavailable
from decube.store.delegating import DelegatingStore
from decube.store.forwarding import ForwardingStore
from decube.store.remote import RemoteOptions, RemoteStore
from decube.store.types import KeyRange, Put, RangeRequest, RangeResult, Txn, TxnResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.store.embedded import EmbeddedStore

PRIMARY = "primary.example:2379"


class Nodes:
    """Two stores that know nothing of each other, so that it is plain which one answered."""

    def __init__(self, own: EmbeddedStore, primary: EmbeddedStore) -> None:
        self.own = own
        self.primary = primary
        self.dialled: list[str] = []
        self.found = ""
        self.store = ForwardingStore(own, self.connect, self.look)

    async def look(self) -> None:
        """Find the primary, if the test lets it be found."""
        if self.found:
            await self.store.follow(self.found)

    def connect(self, address: str) -> ForwardingStore:
        """Stand in for the connection: closing it leaves the primary alone."""
        self.dialled.append(address)
        return ForwardingStore(self.primary, self.connect, self.look)


class EndsWithClose(DelegatingStore):
    """A connection whose calls get no answer until it is closed."""

    def __init__(self, store: EmbeddedStore) -> None:
        super().__init__(store)
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()

    async def range(self, request: RangeRequest) -> RangeResult:
        """Wait for the end."""
        self.asked.set()
        await self.closed.wait()
        raise Closed(f"the store was closed during the call {request}")

    async def txn(self, request: Txn) -> TxnResult:
        """Wait for the end."""
        self.asked.set()
        await self.closed.wait()
        raise Closed(f"the store was closed during the call {request}")

    async def close(self) -> None:
        """End it."""
        self.closed.set()


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with embedded() as own, embedded() as primary:
        await own.txn(Txn(success=(Put(b"where", b"here"),)))
        await primary.txn(Txn(success=(Put(b"where", b"there"),)))
        yield Nodes(own, primary)


def value(result: RangeResult) -> bytes:
    return result.kvs[0].value


WHERE = RangeRequest(range=KeyRange(b"where"))
WHERE_LOCAL = RangeRequest(range=KeyRange(b"where"), serializable=True)


async def test_a_primary_does_everything_itself(nodes: Nodes) -> None:
    assert value(await nodes.store.range(WHERE)) == b"here"
    granted = await nodes.store.lease_grant(60)
    assert await nodes.own.leases() == (granted.id,)
    assert nodes.dialled == []


async def test_a_standby_asks_its_primary_for_all_but_local_reads_and_watches(
    nodes: Nodes,
) -> None:
    await nodes.store.follow(PRIMARY)
    assert value(await nodes.store.range(WHERE)) == b"there"
    assert value(await nodes.store.range(WHERE_LOCAL)) == b"here"
    written = await nodes.store.txn(Txn(success=(Put(b"where", b"written"),)))
    assert value(await nodes.primary.range(WHERE)) == b"written"
    granted = await nodes.store.lease_grant(60)
    assert await nodes.store.leases() == await nodes.primary.leases() == (granted.id,)
    assert await nodes.store.lease_keep_alive(granted.id) == 60
    assert (await nodes.store.lease_status(granted.id)).granted_ttl_s == 60
    await nodes.store.lease_revoke(granted.id)
    await nodes.store.compact(written.revision)
    own, standby = Scene(nodes.own, "embedded-memory"), Scene(nodes.store, "embedded-memory")
    standby.prefix = own.prefix
    async with standby.watch() as batches:
        await own.put("a")
        (event,) = await take_events(batches, 1)
    assert event.kv.key == own.key("a")
    assert nodes.dialled == [PRIMARY]


async def test_a_standby_without_a_primary_refuses_naming_the_last_and_reads_locally(
    nodes: Nodes,
) -> None:
    await nodes.store.follow("", "primary.example:8080")
    with pytest.raises(NotLeader, match="no primary in reach") as refused:
        await nodes.store.txn(Txn(success=(Put(b"x", b""),)))
    assert refused.value.leader == "primary.example:8080"
    assert value(await nodes.store.range(WHERE_LOCAL)) == b"here"


async def test_a_primary_that_cannot_be_reached_is_named() -> None:
    async with embedded() as own:
        store = ForwardingStore(
            own,
            lambda to: RemoteStore(RemoteOptions(endpoints=(to,), request_timeout_s=0.2)),
            Nodes(own, own).look,
        )
        await store.follow("127.0.0.1:1", "primary.example:8080")
        with pytest.raises(NotLeader, match="cannot be reached") as refused:
            await store.range(WHERE)
        assert refused.value.leader == "primary.example:8080"
        await store.close()


async def test_a_call_under_way_when_its_primary_is_left_is_refused_as_such(
    nodes: Nodes,
) -> None:
    lost = EndsWithClose(nodes.primary)
    store = ForwardingStore(nodes.own, lambda _address: lost, nodes.look)
    await store.follow(PRIMARY, "primary.example:8080")
    asking = asyncio.create_task(store.range(WHERE))
    await lost.asked.wait()
    await store.follow("", "primary.example:8080")
    with pytest.raises(NotLeader) as refused:
        await asking
    assert refused.value.leader == "primary.example:8080"


async def test_a_write_that_may_have_been_done_is_told_from_one_that_was_not_sent(
    nodes: Nodes,
) -> None:
    lost = EndsWithClose(nodes.primary)
    store = ForwardingStore(nodes.own, lambda _address: lost, nodes.look)
    await store.follow(PRIMARY)
    writing = asyncio.create_task(store.txn(Txn(success=(Put(b"x", b""),))))
    await lost.asked.wait()
    await store.follow("")
    with pytest.raises(Unavailable, match="may have done"):
        await writing


async def test_after_its_promotion_it_does_everything_itself(nodes: Nodes) -> None:
    await nodes.store.follow(PRIMARY)
    await nodes.store.lead()
    assert value(await nodes.store.range(WHERE)) == b"here"
    await nodes.store.follow(PRIMARY)
    assert value(await nodes.store.range(WHERE)) == b"there"
    assert nodes.dialled == [PRIMARY, PRIMARY]


async def test_a_primary_that_was_just_found_is_asked(nodes: Nodes) -> None:
    await nodes.store.follow("")
    nodes.found = PRIMARY
    assert value(await nodes.store.range(WHERE)) == b"there"
