"""Restoring an image in place, which only a store in this process can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.stores import Scene, embedded, take_events

from decube.kit.errors import Compacted, Corrupt
from decube.store.types import LATEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from decube.store.embedded import EmbeddedStore


@pytest.fixture(params=["memory", "log"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    async with embedded(tmp_path if request.param == "log" else None) as store:
        yield store


async def image_of(store: EmbeddedStore) -> list[bytes]:
    async with store.image() as image:
        return [piece async for piece in image]


async def pieces(image: list[bytes]) -> AsyncIterator[bytes]:
    for piece in image:
        yield piece


async def test_a_restore_ends_watches_and_goes_on_at_a_higher_revision(
    store: EmbeddedStore,
) -> None:
    scene = Scene(store, "embedded")
    await scene.put("kept", b"old")
    image = await image_of(store)
    await scene.put("kept", b"new")
    seen = await scene.put("late")
    async with scene.watch() as batches:
        restored = await store.restore(pieces(image))
        assert restored > seen + 1
        with pytest.raises(Compacted) as ended:
            await take_events(batches, 1)
        assert ended.value.compact_revision == restored
    assert [(kv.value, kv.version) for kv in (await scene.list(LATEST)).kvs] == [(b"old", 1)]
    with pytest.raises(Compacted):
        await scene.get("kept", seen)
    assert await scene.put("kept", b"after") == restored + 1


async def test_a_damaged_image_changes_nothing(store: EmbeddedStore) -> None:
    scene = Scene(store, "embedded")
    await scene.put("key", b"old")
    image = b"".join(await image_of(store))
    revision = await scene.put("key", b"new")
    for damaged in (image[:-1], image[:40], image[:80] + b"?" + image[81:], b"", b"no image" * 50):
        with pytest.raises(Corrupt):
            await store.restore(pieces([damaged]))
    found = await scene.get("key")
    assert found is not None
    assert (found.value, found.mod_revision) == (b"new", revision)


async def test_what_ends_in_the_middle_changes_nothing(store: EmbeddedStore) -> None:
    scene = Scene(store, "embedded")
    await scene.put("key", b"old")
    image = b"".join(await image_of(store))
    await scene.put("key", b"new")

    async def interrupted() -> AsyncIterator[bytes]:
        yield image[:-10]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.restore(interrupted())
    found = await scene.get("key")
    assert found is not None
    assert found.value == b"new"
