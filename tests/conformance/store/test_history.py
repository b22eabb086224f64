"""Reading the past, and forgetting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decube.kit.errors import Compacted, Invalid
from decube.store.types import Revision

if TYPE_CHECKING:
    from tests.support.stores import Scene


async def test_every_revision_stays_readable_until_it_is_compacted(scene: Scene) -> None:
    first = await scene.put("a", b"1")
    second = await scene.put("a", b"2")
    third = await scene.delete("a")
    history = [await scene.get("a", revision) for revision in (first, second, third)]
    assert [kv and kv.value for kv in history] == [b"1", b"2", None]
    assert await scene.get("a", Revision(first - 1)) is None


async def test_the_past_keeps_its_count_and_order(scene: Scene) -> None:
    for name in "abc":
        revision = await scene.put(name)
    await scene.delete("b")
    await scene.put("d")
    then = await scene.list(revision=revision, limit=2)
    assert [kv.key for kv in then.kvs] == [scene.key("a"), scene.key("b")]
    assert (then.count, then.more) == (3, True)


async def test_a_future_revision_is_refused_by_field(scene: Scene) -> None:
    revision = await scene.put("a")
    with pytest.raises(Invalid) as refused:
        await scene.list(revision=Revision(revision + 1_000_000))
    assert refused.value.field == "revision"


async def test_compaction_forgets_what_is_older_and_keeps_the_latest(scene: Scene) -> None:
    old = await scene.put("a", b"1")
    await scene.put("b", b"kept")
    compacted = await scene.put("a", b"2")
    await scene.store.compact(compacted)
    with pytest.raises(Compacted):
        await scene.list(revision=old)
    assert [kv.value for kv in (await scene.list(revision=compacted)).kvs] == [b"2", b"kept"]


async def test_the_compacted_revision_itself_stays_readable(scene: Scene) -> None:
    await scene.put("a", b"1")
    revision = await scene.delete("a")
    await scene.store.compact(revision)
    assert (await scene.list(revision=revision)).kvs == ()


async def test_compacting_makes_no_revision(scene: Scene) -> None:
    revision = await scene.put("a")
    await scene.store.compact(revision)
    assert (await scene.list()).revision == revision


async def test_compacting_again_or_into_the_future_is_refused(scene: Scene) -> None:
    revision = await scene.put("a")
    await scene.store.compact(revision)
    for again in (revision, Revision(revision - 1)):
        with pytest.raises(Compacted):
            await scene.store.compact(again)
    with pytest.raises(Invalid) as refused:
        await scene.store.compact(Revision(revision + 1_000_000))
    assert refused.value.field == "revision"


async def test_an_embedded_store_tells_where_history_begins_and_etcd_does_not(scene: Scene) -> None:
    old = await scene.put("a", b"1")
    new = await scene.put("a", b"2")
    await scene.store.compact(new)
    with pytest.raises(Compacted) as refused:
        await scene.list(revision=old)
    assert refused.value.compact_revision == (new if scene.backend.startswith("embedded") else 0)
