"""Reading, writing and deleting keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decube.kit.errors import Invalid, TooLarge
from decube.store.limits import REQUEST_BYTES_MAX
from decube.store.types import (
    Delete,
    DeleteResult,
    KeyRange,
    KeyValue,
    Put,
    PutResult,
    RangeRequest,
)

if TYPE_CHECKING:
    from tests.support.stores import Scene


async def test_a_put_is_read_back_with_its_revisions(scene: Scene) -> None:
    first = await scene.put("a", b"1")
    second = await scene.put("a", b"2")
    assert second == first + 1
    assert await scene.get("a") == KeyValue(scene.key("a"), b"2", first, second, 2)


async def test_a_key_made_anew_starts_over(scene: Scene) -> None:
    await scene.put("a")
    await scene.delete("a")
    revision = await scene.put("a", b"again")
    assert await scene.get("a") == KeyValue(scene.key("a"), b"again", revision, revision, 1)


async def test_an_empty_value_is_a_value(scene: Scene) -> None:
    await scene.put("a", b"")
    found = await scene.get("a")
    assert found is not None
    assert found.value == b""


async def test_keys_and_values_are_any_bytes(scene: Scene) -> None:
    key, value = scene.prefix + bytes(range(256)), bytes(range(255, -1, -1))
    await scene.do(Put(key, value))
    found = (await scene.store.range(RangeRequest(range=KeyRange(key)))).kvs
    assert [(kv.key, kv.value) for kv in found] == [(key, value)]


async def test_a_range_is_half_open_and_in_key_order(scene: Scene) -> None:
    for name in ("c", "a", "d", "b"):
        await scene.put(name)
    keys = KeyRange(scene.key("a"), scene.key("d"))
    found = await scene.store.range(RangeRequest(range=keys))
    assert [kv.key for kv in found.kvs] == [scene.key(name) for name in "abc"]
    assert (found.count, found.more) == (3, False)


async def test_a_limit_cuts_but_does_not_change_the_count(scene: Scene) -> None:
    for name in "abcde":
        await scene.put(name)
    found = await scene.list(limit=2)
    assert [kv.key for kv in found.kvs] == [scene.key("a"), scene.key("b")]
    assert (found.count, found.more) == (5, True)
    assert not (await scene.list(limit=5)).more


async def test_keys_only_and_count_only_leave_the_rest_out(scene: Scene) -> None:
    revision = await scene.put("a", b"value")
    keys = await scene.store.range(RangeRequest(range=scene.all, keys_only=True))
    assert keys.kvs == (KeyValue(scene.key("a"), b"", revision, revision, 1),)
    count = await scene.store.range(RangeRequest(range=scene.all, count_only=True))
    assert (count.kvs, count.count, count.more) == ((), 1, False)


async def test_from_a_key_on_and_all_keys_reach_the_end_of_the_store(scene: Scene) -> None:
    await scene.put("a")
    edge = b"\xff" + scene.prefix
    await scene.do(Put(edge, b"edge"))
    for keys in (KeyRange(scene.key("a"), b"\0"), KeyRange.prefix(b""), KeyRange.prefix(b"\xff")):
        found = await scene.store.range(RangeRequest(range=keys, keys_only=True))
        assert edge in {kv.key for kv in found.kvs}
    await scene.do(Delete(KeyRange(edge)))


async def test_an_interval_without_room_is_empty(scene: Scene) -> None:
    await scene.put("a")
    keys = KeyRange(scene.key("b"), scene.key("a"))
    found = await scene.store.range(RangeRequest(range=keys))
    assert (found.kvs, found.count) == ((), 0)


async def test_a_read_tells_the_revision_of_the_store(scene: Scene) -> None:
    revision = await scene.put("a")
    assert (await scene.list()).revision == revision
    await scene.put("b")
    assert (await scene.list(revision=revision)).revision == revision + 1


async def test_a_put_and_a_delete_tell_what_was_before(scene: Scene) -> None:
    created = await scene.put("a", b"1")
    before = KeyValue(scene.key("a"), b"1", created, created, 1)
    put = await scene.do(Put(scene.key("a"), b"2", prev_kv=True))
    assert put.results == (PutResult(put.revision, before),)
    now = KeyValue(scene.key("a"), b"2", created, put.revision, 2)
    delete = await scene.do(Delete(scene.all, prev_kv=True))
    assert delete.results == (DeleteResult(delete.revision, 1, (now,)),)
    fresh = await scene.do(Put(scene.key("a"), b"3", prev_kv=True))
    assert fresh.results == (PutResult(fresh.revision, None),)


async def test_deleting_many_keys_takes_one_revision_and_none_takes_none(scene: Scene) -> None:
    for name in "abc":
        await scene.put(name)
    before = (await scene.list()).revision
    deleted = await scene.do(Delete(scene.all))
    assert deleted.results == (DeleteResult(deleted.revision, 3),)
    assert deleted.revision == before + 1
    nothing = await scene.do(Delete(scene.all))
    assert nothing.results == (DeleteResult(deleted.revision, 0),)
    assert nothing.revision == deleted.revision


async def test_an_empty_key_is_refused_by_field(scene: Scene) -> None:
    revision = await scene.put("a")
    with pytest.raises(Invalid) as refused:
        await scene.store.range(RangeRequest(range=KeyRange(b"")))
    assert refused.value.field == "key"
    for operation in (Put(b"", b"v"), Delete(KeyRange(b""))):
        with pytest.raises(Invalid) as refused:
            await scene.do(operation)
        assert refused.value.field == "key"
    assert (await scene.list()).revision == revision


async def test_a_write_above_the_limit_is_refused_and_one_below_is_not(scene: Scene) -> None:
    room = b"x" * (REQUEST_BYTES_MAX - 1024)
    revision = await scene.put("big", room)
    with pytest.raises(TooLarge) as refused:
        await scene.put("big", room + b"x" * 2048)
    assert refused.value.limit_bytes == REQUEST_BYTES_MAX
    found = await scene.get("big")
    assert found is not None
    assert (found.mod_revision, found.value) == (revision, room)


async def test_a_long_list_comes_back_whole(scene: Scene) -> None:
    names = [f"{number:05}" for number in range(2_500)]
    for start in range(0, len(names), 100):
        chunk = names[start : start + 100]
        await scene.do(*(Put(scene.key(name), b"v" * 100) for name in chunk))
    found = await scene.list()
    assert [kv.key for kv in found.kvs] == [scene.key(name) for name in names]
