"""What a leader writes holds in its own term only, whatever it believes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.stores import Scene, embedded

from decube.kit.errors import Invalid, NotLeader
from decube.services.leadership import Candidate, FencedStore
from decube.services.leadership.election import Election
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    KeyRange,
    LeaseId,
    Put,
    PutResult,
    RangeRequest,
    RangeResult,
    Revision,
    Txn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.services.leadership.election import Leader


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with embedded() as store:
        yield Scene(store, "embedded-memory")


async def elected(scene: Scene, node_id: str) -> Leader:
    """Make a node leader, by hand."""
    lease = await scene.store.lease_grant(600)
    claimed = await Election(scene.store).claim(Candidate(node_id, f"{node_id}:8080"), lease.id)
    assert claimed.leader is not None
    assert claimed.leader.lease == lease.id
    return claimed.leader


async def test_the_leader_writes_and_is_answered_as_without_the_fence(scene: Scene) -> None:
    leader = await elected(scene, "a")
    fenced = FencedStore(scene.store, leader.term)
    absent = Compare(
        KeyRange(scene.key("x")), CompareTarget.VERSION, CompareOperator.EQUAL, operand=0
    )
    put, read = Put(scene.key("x"), b"1"), RangeRequest(range=scene.all)
    create = Txn(compares=(absent,), success=(put, read), failure=(read,))
    made = await fenced.txn(create)
    assert (made.succeeded, made.revision) == (True, leader.term + 1)
    assert made.results[0] == PutResult(made.revision)
    refused = await fenced.txn(create)
    assert (refused.succeeded, refused.revision) == (False, made.revision)
    (found,) = refused.results
    assert isinstance(found, RangeResult)
    assert found.kvs[0].mod_revision == made.revision


async def test_after_the_term_nothing_is_written_and_the_present_leader_is_named(
    scene: Scene,
) -> None:
    old = await elected(scene, "a")
    fenced = FencedStore(scene.store, old.term)
    write = Txn(success=(Put(scene.key("x"), b"late"),), failure=(Put(scene.key("y"), b"late"),))
    await scene.store.lease_revoke(old.lease)
    with pytest.raises(NotLeader) as nobody:
        await fenced.txn(write)
    assert nobody.value.leader is None
    await elected(scene, "b")
    with pytest.raises(NotLeader) as other:
        await fenced.txn(write)
    assert other.value.leader == "b:8080"
    assert (await scene.list()).kvs == ()


async def test_a_second_term_of_the_same_node_does_not_open_the_first(scene: Scene) -> None:
    first = await elected(scene, "a")
    await scene.store.lease_revoke(first.lease)
    second = await elected(scene, "a")
    with pytest.raises(NotLeader):
        await FencedStore(scene.store, first.term).txn(Txn())
    assert (await FencedStore(scene.store, second.term).txn(Txn())).succeeded


async def test_leases_and_compaction_check_the_term_first(scene: Scene) -> None:
    old = await elected(scene, "a")
    fenced = FencedStore(scene.store, old.term)
    lease = await fenced.lease_grant(600)
    await scene.put("kept", lease=lease.id)
    await scene.store.lease_revoke(old.lease)
    for call in (
        fenced.lease_grant(600),
        fenced.lease_keep_alive(lease.id),
        fenced.lease_revoke(lease.id),
        fenced.compact(old.term),
    ):
        with pytest.raises(NotLeader):
            await call
    assert (await scene.list()).count == 1


async def test_reading_needs_no_term_and_closing_leaves_the_store_open(scene: Scene) -> None:
    await scene.put("x")
    fenced = FencedStore(scene.store, Revision(999))
    assert (await fenced.range(RangeRequest(range=scene.all))).count == 1
    await fenced.close()
    assert (await scene.list()).count == 1


async def test_the_fence_takes_one_operation_of_the_stores_limit(scene: Scene) -> None:
    leader = await elected(scene, "a")
    fenced = FencedStore(scene.store, leader.term)
    puts = tuple(Put(scene.key(f"{number:03}"), b"") for number in range(128))
    assert (await fenced.txn(Txn(success=puts[:127]))).succeeded
    with pytest.raises(Invalid):
        await fenced.txn(Txn(success=puts))


async def test_a_key_that_somebody_wrote_by_hand_still_names_a_term(scene: Scene) -> None:
    await scene.do(Put(b"/decube/leader", b"not json", LeaseId(0)))
    found = (await Election(scene.store).observe()).leader
    assert found is not None
    assert found.candidate == Candidate("", "")
