"""Following, campaigning, leading and giving up, on the store in memory and a clock moved by hand.

The leader's clock is the manual one; the store's own, by which leases run out, is the machine's.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from tests.support.stores import WAIT_S_MAX, Scene, embedded, remote, serving

from decube.kit.clock import ManualClock
from decube.kit.errors import NotLeader
from decube.services.leadership import ELECTION_KEY, Candidate, FencedStore, Leadership
from decube.services.leadership.election import Election
from decube.store.types import Delete, KeyRange, Put, RangeRequest, Revision, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from decube.store.embedded import EmbeddedStore
    from decube.store.protocol import Store

TTL_S = 10.0


@pytest.fixture
async def store() -> AsyncIterator[EmbeddedStore]:
    async with embedded() as opened:
        yield opened


async def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for a level, with a bound."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.001)


class Node:
    """A node's part in the election, as the daemon runs it."""

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self.clock = ManualClock()
        self.fenced: list[FencedStore] = []
        self.works = 0
        self.leadership = Leadership(
            store,
            Candidate(name, f"{name}:8080"),
            ttl_s=TTL_S,
            work=(self._work,),
            clock=self.clock,
        )

    async def _work(self, store: FencedStore) -> None:
        self.fenced.append(store)
        self.works += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.works -= 1

    @property
    def leads(self) -> bool:
        return self.leadership.is_leader and self.works == 1


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[asyncio.Task[None]]:
    """Run a node's part until the context is left, which resigns."""
    task = asyncio.create_task(node.leadership.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_one_leads_and_every_node_knows_where(store: EmbeddedStore) -> None:
    nodes = [Node(store, name) for name in "abc"]
    async with running(nodes[0]), running(nodes[1]), running(nodes[2]):
        await wait_until(
            lambda: all(node.leadership.leader_address for node in nodes), "all know the leader"
        )
        (leader,) = [node for node in nodes if node.leadership.is_leader]
        assert {node.leadership.leader_address for node in nodes} == {f"{leader.name}:8080"}
        await wait_until(lambda: leader.leads, "its work runs")
        assert sum(node.works for node in nodes) == 1


async def test_resigning_ends_the_work_and_hands_over_at_once(store: EmbeddedStore) -> None:
    first, second = Node(store, "a"), Node(store, "b")
    async with running(first):
        await wait_until(lambda: first.leads, "a leads")
        follower = asyncio.create_task(second.leadership.run())
        await wait_until(lambda: second.leadership.leader_address == "a:8080", "b follows")
    assert not first.leadership.is_leader
    assert first.works == 0
    # The lease would last for 10 s, and no clock was moved.
    await wait_until(lambda: second.leads, "b leads")
    assert second.leadership.leader_address == "b:8080"
    assert len(await store.leases()) == 1, "the old lease was given back"
    follower.cancel()
    await asyncio.wait([follower])
    assert await store.leases() == ()
    assert await holders(store) == 0


async def test_a_leader_leads_as_long_as_its_lease_is_renewed(store: EmbeddedStore) -> None:
    node = Node(store, "a")
    async with running(node):
        await wait_until(lambda: node.leads, "it leads")
        for _ in range(12):
            # One task waits to renew, the other for the end of the term.
            await wait_until(lambda: node.clock.sleepers == 2, "the renewal was answered")
            await node.clock.advance(TTL_S / 3)
        await wait_until(lambda: node.clock.sleepers == 2, "the renewal was answered")
        assert node.leads
        assert len(node.fenced) == 1, "it is still the first term"


async def test_cut_off_from_the_store_it_stops_in_time_and_leads_anew_when_it_is_back(
    store: EmbeddedStore,
) -> None:
    async with AsyncExitStack() as server:
        address = await server.enter_async_context(serving(store))
        async with remote(address, request_timeout_s=0.2) as away:
            node = Node(away, "a")
            async with running(node):
                await wait_until(lambda: node.leads, "it leads")
                await wait_until(lambda: node.clock.sleepers == 2, "it waits to renew")
                await server.aclose()
                await node.clock.advance(TTL_S * 0.89)
                assert node.leads
                await node.clock.advance(TTL_S * 0.02)
                assert not node.leadership.is_leader
                assert node.leadership.leader_address == ""
                await wait_until(lambda: node.works == 0, "its work was cancelled")
                assert await holders(store) == 1, "in the store the lease goes on"
                await server.enter_async_context(serving(store, address))
                await advance_until(node, lambda: node.leads, "it gave its old lease back")
                assert len(node.fenced) == 2


async def test_after_a_pause_the_clock_tells_the_truth_before_any_task_has_run(
    store: EmbeddedStore,
) -> None:
    node = Node(store, "a")
    async with running(node):
        await wait_until(lambda: node.leads, "it leads")
        # As after SIGSTOP and SIGCONT.
        node.clock._elapsed_s += TTL_S
        assert not node.leadership.is_leader
        assert node.leadership.leader_address == ""


async def test_a_follower_that_is_cut_off_says_that_it_does_not_know(store: EmbeddedStore) -> None:
    leader = Node(store, "a")
    async with AsyncExitStack() as server, running(leader):
        await wait_until(lambda: leader.leads, "a leads")
        address = await server.enter_async_context(serving(store))
        async with remote(address, request_timeout_s=0.2) as away:
            follower = Node(away, "b")
            async with running(follower):
                await wait_until(lambda: follower.leadership.leader_address == "a:8080", "b knows")
                await server.aclose()
                await follower.clock.advance(TTL_S)
                assert follower.leadership.leader_address == ""
                await server.enter_async_context(serving(store, address))
                await advance_until(
                    follower, lambda: follower.leadership.leader_address == "a:8080", "b knows"
                )


async def test_a_key_that_is_taken_away_ends_the_term(store: EmbeddedStore) -> None:
    node = Node(store, "a")
    async with running(node):
        await wait_until(lambda: node.leads, "it leads")
        await store.txn(Txn(success=(Delete(KeyRange(ELECTION_KEY)),)))
        await wait_until(lambda: len(node.fenced) == 2 and node.leads, "it leads in another term")
        with pytest.raises(NotLeader):
            await node.fenced[0].txn(Txn())
        assert (await node.fenced[1].txn(Txn())).succeeded


async def test_a_key_without_a_lease_leads_nobody_astray(store: EmbeddedStore) -> None:
    await store.txn(Txn(success=(Put(ELECTION_KEY, b"by hand"),)))
    node = Node(store, "a")
    async with running(node):
        await wait_until(lambda: node.leads, "it leads")
        await store.txn(Txn(success=(Put(ELECTION_KEY, b"by hand"),)))
        await wait_until(lambda: len(node.fenced) == 2 and node.leads, "it leads again")


async def test_work_that_is_fenced_off_ends_the_term_and_no_more(store: EmbeddedStore) -> None:
    terms = 0

    async def work(fenced: FencedStore) -> None:
        nonlocal terms
        terms += 1
        if terms == 1:
            await store.txn(Txn(success=(Delete(KeyRange(ELECTION_KEY)),)))
        await fenced.txn(Txn())

    leadership = Leadership(store, Candidate("a", "a:8080"), ttl_s=TTL_S, work=(work,))
    task = asyncio.create_task(leadership.run())
    await wait_until(lambda: terms == 2 and leadership.is_leader, "a second term")
    task.cancel()
    await asyncio.wait([task])


async def test_work_that_fails_ends_the_run_and_gives_the_lease_back(store: EmbeddedStore) -> None:
    async def work(_: FencedStore) -> None:
        raise ValueError("a defect")

    leadership = Leadership(store, Candidate("a", "a:8080"), ttl_s=TTL_S, work=(work,))
    with pytest.raises(ExceptionGroup) as failed:
        await leadership.run()
    assert isinstance(failed.value.exceptions[0], ValueError)
    assert not leadership.is_leader
    assert await store.leases() == ()


async def test_a_cancel_while_a_term_ends_is_not_lost(store: EmbeddedStore) -> None:
    began, ending, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_: FencedStore) -> None:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ending.set()
            await may_end.wait()

    leadership = Leadership(store, Candidate("a", "a:8080"), ttl_s=TTL_S, work=(work,))
    task = asyncio.create_task(leadership.run())
    await began.wait()
    await store.txn(Txn(success=(Delete(KeyRange(ELECTION_KEY)),)))
    await ending.wait()
    assert not leadership.is_leader
    task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    async with asyncio.timeout(WAIT_S_MAX):
        await asyncio.wait([task])
    assert task.cancelled()
    assert await store.leases() == ()


async def test_a_key_left_by_an_earlier_process_of_the_node_names_no_leader(
    store: EmbeddedStore,
) -> None:
    earlier = await store.lease_grant(600)
    node = Node(store, "a")
    await Election(store).claim(Candidate("a", "a:8080"), earlier.id)
    async with running(node):
        await wait_until(lambda: node.leadership._leader, "it found the key")
        assert not node.leadership.is_leader
        assert node.leadership.leader_address == ""
        await store.lease_revoke(earlier.id)
        await wait_until(lambda: node.leads, "it leads")


async def test_a_closed_store_ends_the_run(store: EmbeddedStore) -> None:
    node = Node(store, "a")
    async with running(node) as task:
        await wait_until(lambda: node.leads, "it leads")
        await store.close()
        async with asyncio.timeout(WAIT_S_MAX):
            await task
        assert not node.leadership.is_leader


async def test_waiting_for_a_change_ends_when_the_history_is_gone(store: EmbeddedStore) -> None:
    scene = Scene(store, "embedded-memory")
    first = await scene.put("a")
    await store.compact(await scene.put("b"))
    async with asyncio.timeout(WAIT_S_MAX):
        await Election(store).wait_for_change(Revision(first - 1), within_s=3600)


async def holders(store: Store) -> int:
    """How many election keys there are."""
    return (await store.range(RangeRequest(range=KeyRange(ELECTION_KEY)))).count


async def advance_until(node: Node, holds: Callable[[], object], what: str) -> None:
    """Move the node's clock on until something holds."""

    async def advance() -> None:
        while True:
            await node.clock.advance(0.1)
            await asyncio.sleep(0.005)

    advancing = asyncio.create_task(advance())
    await wait_until(holds, what)
    advancing.cancel()
