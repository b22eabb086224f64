"""Compares, branches, nesting: evaluated atomically, at one revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decube.kit.errors import Compacted, Invalid, NotFound
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    DeleteResult,
    KeyRange,
    KeyValue,
    LeaseId,
    Operation,
    Put,
    PutResult,
    RangeRequest,
    RangeResult,
    Revision,
    Txn,
    TxnResult,
)

if TYPE_CHECKING:
    from tests.support.stores import Scene

EQUAL, GREATER = CompareOperator.EQUAL, CompareOperator.GREATER
LESS, NOT_EQUAL = CompareOperator.LESS, CompareOperator.NOT_EQUAL


async def holds(
    scene: Scene,
    keys: KeyRange,
    target: CompareTarget,
    operator: CompareOperator,
    operand: int | bytes,
) -> bool:
    compare = Compare(keys, target, operator, operand)
    return (await scene.store.txn(Txn(compares=(compare,)))).succeeded


@pytest.mark.parametrize(
    ("target", "number"),
    [
        (CompareTarget.VERSION, 2),
        (CompareTarget.CREATE_REVISION, "created"),
        (CompareTarget.MOD_REVISION, "modified"),
        (CompareTarget.LEASE, 0),
    ],
)
async def test_numbers_compare_four_ways(
    scene: Scene, target: CompareTarget, number: int | str
) -> None:
    revisions = {"created": await scene.put("a"), "modified": await scene.put("a")}
    actual = revisions[number] if isinstance(number, str) else number
    keys = KeyRange(scene.key("a"))
    for given, expected in ((actual - 1, {GREATER}), (actual, {EQUAL}), (actual + 1, {LESS})):
        wanted = expected | (set() if given == actual else {NOT_EQUAL})
        found = {op for op in CompareOperator if await holds(scene, keys, target, op, given)}
        assert found == wanted


async def test_values_compare_as_bytes_and_never_on_an_absent_key(scene: Scene) -> None:
    await scene.put("a", b"m")
    keys, value = KeyRange(scene.key("a")), CompareTarget.VALUE
    assert await holds(scene, keys, value, EQUAL, b"m")
    assert await holds(scene, keys, value, GREATER, b"a")
    assert await holds(scene, keys, value, LESS, b"m\0")
    assert await holds(scene, keys, value, NOT_EQUAL, b"")
    for operator in CompareOperator:
        assert not await holds(scene, KeyRange(scene.key("absent")), value, operator, b"")


async def test_an_absent_key_compares_as_zero(scene: Scene) -> None:
    keys = KeyRange(scene.key("absent"))
    for target in CompareTarget:
        if target is not CompareTarget.VALUE:
            assert await holds(scene, keys, target, EQUAL, 0)


async def test_a_compare_on_a_range_asks_every_key(scene: Scene) -> None:
    await scene.put("a", b"same")
    await scene.put("b", b"same")
    assert await holds(scene, scene.all, CompareTarget.VALUE, EQUAL, b"same")
    await scene.put("b", b"other")
    assert not await holds(scene, scene.all, CompareTarget.VALUE, EQUAL, b"same")


async def test_a_compare_of_the_wrong_type_is_refused_by_field(scene: Scene) -> None:
    for target, operand in ((CompareTarget.VALUE, 1), (CompareTarget.VERSION, b"1")):
        with pytest.raises(Invalid) as refused:
            await holds(scene, KeyRange(scene.key("a")), target, EQUAL, operand)
        assert refused.value.field == "operand"


async def test_compares_choose_the_branch(scene: Scene) -> None:
    absent = Compare(KeyRange(scene.key("a")), CompareTarget.VERSION, EQUAL, 0)
    create = Txn(
        compares=(absent,),
        success=(Put(scene.key("a"), b"made"),),
        failure=(RangeRequest(range=KeyRange(scene.key("a"))),),
    )
    made = await scene.store.txn(create)
    assert (made.succeeded, made.results) == (True, (PutResult(made.revision),))
    refused = await scene.store.txn(create)
    assert (refused.succeeded, refused.revision) == (False, made.revision)
    assert isinstance(refused.results[0], RangeResult)
    assert refused.results[0].kvs[0].value == b"made"


async def test_compares_are_anded(scene: Scene) -> None:
    await scene.put("a", b"1")
    exists = Compare(KeyRange(scene.key("a")), CompareTarget.VERSION, GREATER, 0)
    wrong = Compare(KeyRange(scene.key("a")), CompareTarget.VALUE, EQUAL, b"2")
    assert not (await scene.store.txn(Txn(compares=(exists, wrong)))).succeeded


async def test_all_writes_share_a_revision_and_reads_see_the_writes_before_them(
    scene: Scene,
) -> None:
    before = await scene.put("old", b"1")
    done = await scene.do(
        RangeRequest(range=scene.all, count_only=True),
        Put(scene.key("a"), b"1"),
        Delete(KeyRange(scene.key("old"))),
        RangeRequest(range=scene.all),
        Put(scene.key("b"), b"2"),
    )
    assert done.revision == before + 1
    first, put, delete, second, _ = done.results
    assert isinstance(first, RangeResult)
    assert first.count == 1
    assert put == PutResult(done.revision)
    assert delete == DeleteResult(done.revision, 1)
    assert isinstance(second, RangeResult)
    assert [(kv.key, kv.mod_revision) for kv in second.kvs] == [(scene.key("a"), done.revision)]


async def test_a_transaction_that_only_reads_makes_no_revision(scene: Scene) -> None:
    revision = await scene.put("a")
    read = await scene.do(RangeRequest(range=scene.all))
    assert read.revision == revision
    assert (await scene.store.txn(Txn())).revision == revision


async def test_reads_inside_leave_out_what_was_not_asked_for(scene: Scene) -> None:
    lease = await scene.store.lease_grant(600)
    revision = await scene.put("a", b"value", lease.id)
    keys, count = (
        await scene.do(
            RangeRequest(range=scene.all, keys_only=True),
            RangeRequest(range=scene.all, count_only=True),
        )
    ).results
    bare = KeyValue(scene.key("a"), b"", revision, revision, 1)
    assert keys == RangeResult(revision, (bare,), 1, more=False)
    assert count == RangeResult(revision, (), 1, more=False)
    await scene.store.lease_revoke(lease.id)


async def test_nested_transactions_answer_in_place(scene: Scene) -> None:
    await scene.put("a", b"1")
    exists = Compare(KeyRange(scene.key("a")), CompareTarget.VERSION, GREATER, 0)
    inner = Txn(compares=(exists,), success=(Put(scene.key("b"), b"in"),))
    other = Txn(failure=(Put(scene.key("d"), b"never"),))
    outer = Txn(success=(Put(scene.key("c"), b"out"), inner, other))
    done = await scene.store.txn(outer)
    put, nested, empty = done.results
    assert put == PutResult(done.revision)
    assert nested == TxnResult(done.revision, True, (PutResult(done.revision),))  # noqa: FBT003
    assert isinstance(empty, TxnResult)
    assert (empty.succeeded, empty.results) == (True, ())
    assert {kv.mod_revision for kv in (await scene.list()).kvs if kv.value != b"1"} == {
        done.revision
    }


async def test_nested_compares_see_the_state_before_the_whole(scene: Scene) -> None:
    absent = Compare(KeyRange(scene.key("a")), CompareTarget.VERSION, EQUAL, 0)
    inner = Txn(compares=(absent,), success=(Put(scene.key("seen"), b"absent"),))
    done = await scene.do(Put(scene.key("a"), b"1"), inner)
    nested = done.results[1]
    assert isinstance(nested, TxnResult)
    assert nested.succeeded


def malformed(scene: Scene) -> dict[str, tuple[Operation, ...]]:
    key = scene.key("a")
    return {
        "one key twice": (Put(key, b"1"), Put(key, b"2")),
        "a put inside a delete": (Put(key, b"1"), Delete(scene.all)),
        "twice across nesting": (Put(key, b"1"), Txn(success=(Put(key, b"2"),))),
        "an empty key": (Put(key, b"1"), Put(b"", b"2")),
        "too many": tuple(Put(scene.key(f"{n:03}"), b"") for n in range(129)),
        "a future read": (
            Put(key, b"1"),
            RangeRequest(range=scene.all, revision=Revision(1 << 40)),
        ),
    }


@pytest.mark.parametrize(
    "fault",
    [
        "one key twice",
        "a put inside a delete",
        "twice across nesting",
        "an empty key",
        "too many",
        "a future read",
    ],
)
async def test_a_malformed_transaction_changes_nothing(scene: Scene, fault: str) -> None:
    revision = await scene.put("before")
    with pytest.raises(Invalid):
        await scene.do(*malformed(scene)[fault])
    assert [kv.key for kv in (await scene.list()).kvs] == [scene.key("before")]
    assert (await scene.list()).revision == revision


async def test_the_branches_may_write_the_same_key(scene: Scene) -> None:
    put = (Put(scene.key("a"), b"1"),)
    assert (await scene.store.txn(Txn(success=put, failure=put))).succeeded


async def test_a_put_with_an_unknown_lease_changes_nothing(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.do(
            Put(scene.key("a"), b"1"), Put(scene.key("b"), b"1", LeaseId(0x7FFF_FFFF_0000_1111))
        )
    assert (await scene.list()).kvs == ()


async def test_a_compacted_read_inside_changes_nothing(scene: Scene) -> None:
    old = await scene.put("a", b"1")
    await scene.store.compact(await scene.put("a", b"2"))
    with pytest.raises(Compacted):
        await scene.do(Put(scene.key("b"), b"1"), RangeRequest(range=scene.all, revision=old))
    assert await scene.get("b") is None
