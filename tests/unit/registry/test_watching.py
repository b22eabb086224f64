from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.support.waiting import WAIT_S_MAX
from tests.unit.registry.conftest import Scene, pod

from decube.kit.errors import Compacted, Invalid
from decube.model.metadata import ResourceVersion
from decube.model.names import Namespace
from decube.model.pod import Pod, PodStatus
from decube.model.selector import EVERYTHING, Selector
from decube.model.selector_text import parse_selector
from decube.registry import watching
from decube.registry.watching import WatchQuery
from decube.store.types import Revision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from decube.registry.watching import Changes

DEFAULT = Namespace("default")


def query(
    seen: int | None = None, selector: Selector = EVERYTHING, namespace: Namespace | None = DEFAULT
) -> WatchQuery:
    version = None if seen is None else ResourceVersion(seen)
    return WatchQuery(namespace=namespace, selector=selector, resource_version=version)


def relabelled(**labels: str) -> Callable[[Pod], Pod]:
    def change(current: Pod) -> Pod:
        metadata = msgspec.structs.replace(current.metadata, labels=labels)
        return msgspec.structs.replace(current, metadata=metadata)

    return change


def running(current: Pod) -> Pod:
    return msgspec.structs.replace(current, status=PodStatus("running"))


async def take(changes: AsyncIterator[Changes[Pod]], count: int) -> list[str]:
    """Read that many changes, as `TYPE name`; progress is passed over."""
    found: list[str] = []
    async with asyncio.timeout(WAIT_S_MAX):
        while len(found) < count:
            batch = await anext(changes)
            found += [
                f"{change.type.value} {change.item.metadata.name}" for change in batch.changes
            ]
    return found


async def test_a_watch_begins_with_the_present_objects(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    await scene.pods.create(pod("b"))
    await scene.pods.create(pod("c", "other"))
    async with scene.pods.watch(query()) as changes:
        first = await anext(changes)
        assert [change.item.metadata.name for change in first.changes] == ["a", "b"]
        assert first.resource_version is not None
        await scene.pods.create(pod("d"))
        assert await take(changes, 1) == ["ADDED d"]


async def test_the_present_comes_in_pages_that_cannot_be_resumed_from(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAGE_LIMIT_DEFAULT", 2)
    for number in range(5):
        await scene.pods.create(pod(f"p{number}"))
    async with scene.pods.watch(query()) as changes:
        await scene.pods.create(pod("p9"))
        batches = [await anext(changes) for _ in range(3)]
        assert [len(batch.changes) for batch in batches] == [2, 2, 1]
        assert [batch.resource_version is None for batch in batches] == [True, True, False]
        assert await take(changes, 1) == ["ADDED p9"]


async def test_every_change_is_told_in_order(scene: Scene) -> None:
    async with scene.pods.watch(query()) as changes:
        await scene.pods.create(pod("a"))
        await scene.pods.update("default", "a", running)
        await scene.pods.delete("default", "a")
        await scene.pods.create(pod("a"))
        assert await take(changes, 4) == ["ADDED a", "MODIFIED a", "DELETED a", "ADDED a"]


async def test_a_deletion_tells_the_last_state_at_its_own_version(scene: Scene) -> None:
    created = await scene.pods.create(pod("a", app="web"))
    await scene.pods.delete("default", "a")
    deleted = (await scene.store.status()).revision
    async with scene.pods.watch(query(created.metadata.resource_version)) as changes:
        (change,) = (await anext(changes)).changes
    assert change.item.metadata.labels == {"app": "web"}
    assert change.item.metadata.resource_version == deleted


async def test_resuming_tells_everything_after_and_nothing_before(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    seen = (await scene.pods.create(pod("b"))).metadata.resource_version
    await scene.pods.create(pod("c"))
    async with scene.pods.watch(query(seen)) as changes:
        await scene.pods.create(pod("d"))
        assert await take(changes, 2) == ["ADDED c", "ADDED d"]


async def test_a_selector_tells_what_comes_into_it_and_what_leaves_it(scene: Scene) -> None:
    selector = parse_selector("tier=web")
    async with scene.pods.watch(query(selector=selector)) as changes:
        await scene.pods.create(pod("other", tier="db"))
        await scene.pods.create(pod("a", tier="web"))
        await scene.pods.update("default", "a", running)
        await scene.pods.update("default", "a", relabelled(tier="db"))
        await scene.pods.update("default", "a", running)
        await scene.pods.update("default", "a", relabelled(tier="web"))
        await scene.pods.delete("default", "other")
        await scene.pods.delete("default", "a")
        expected = ["ADDED a", "MODIFIED a", "DELETED a", "ADDED a", "DELETED a"]
        assert await take(changes, 5) == expected


async def test_a_row_that_becomes_unreadable_leaves_the_watch(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    async with scene.pods.watch(query()) as changes:
        await anext(changes)
        await scene.put("/decube/pods/default/a", b"garbage")
        assert await take(changes, 1) == ["DELETED a"]
        await scene.pods.delete("default", "a")
        await scene.pods.create(pod("a"))
        assert await take(changes, 1) == ["ADDED a"]
    assert scene.unreadable() > 0


async def test_an_idle_watch_tells_progress(scene: Scene) -> None:
    created = await scene.pods.create(pod("a"))
    async with scene.pods.watch(query(created.metadata.resource_version)) as changes:
        other = await scene.pods.create(pod("b", "other"))
        async with asyncio.timeout(WAIT_S_MAX):
            async for batch in changes:
                assert batch.changes == ()
                assert batch.resource_version is not None
                if batch.resource_version >= other.metadata.resource_version:
                    break


async def test_a_version_that_is_compacted_is_refused_at_once(scene: Scene) -> None:
    created = await scene.pods.create(pod("a"))
    for _ in range(3):
        last = await scene.pods.update("default", "a", running)
    await scene.store.compact(Revision(last.metadata.resource_version))
    with pytest.raises(Compacted, match="list anew"):
        async with scene.pods.watch(query(created.metadata.resource_version)):
            pass


async def test_a_version_that_the_store_has_not_reached_is_refused(scene: Scene) -> None:
    created = await scene.pods.create(pod("a"))
    with pytest.raises(Invalid, match="ahead of the store") as refused:
        async with scene.pods.watch(query(created.metadata.resource_version + 1_000)):
            pass
    assert refused.value.field == "resource_version"
