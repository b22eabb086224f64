"""A store made out of an image where none runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.stores import Scene, embedded

from decube.kit.errors import AlreadyExists, Corrupt, Invalid, Unavailable
from decube.store.embedded import EmbeddedOptions, ReplayLog, restore_offline
from decube.store.types import Revision

if TYPE_CHECKING:
    from pathlib import Path


async def make_store(log_dir: Path) -> tuple[bytes, Revision, Revision]:
    """Write a store; its image, the image's revision, and the last one, which is behind it."""
    async with embedded(log_dir) as store:
        scene = Scene(store, "embedded", b"")
        at_image = await scene.put("key", b"in the image")
        async with store.image() as image:
            pieces = [piece async for piece in image]
        await scene.put("key", b"after")
        return b"".join(pieces), at_image, await scene.put("other")


async def values(log_dir: Path) -> dict[bytes, bytes]:
    async with embedded(log_dir) as store:
        return {kv.key: kv.value for kv in (await Scene(store, "", b"").list()).kvs}


async def test_an_image_makes_a_store_at_revisions_never_handed_out(tmp_path: Path) -> None:
    image, at_image, _ = await make_store(tmp_path / "old")
    made = restore_offline([image], EmbeddedOptions(log_dir=tmp_path / "new"))
    assert (made.keys, made.restored_revision) == (1, at_image)
    assert made.revision == at_image + 1_000_000_000
    assert await values(tmp_path / "new") == {b"key": b"in the image"}


async def test_the_log_is_replayed_as_far_as_asked_for_or_it_says_how_far_it_reaches(
    tmp_path: Path,
) -> None:
    image, at_image, last = await make_store(tmp_path / "old")

    def restore(to_revision: int) -> None:
        replay = ReplayLog(log_dir=tmp_path / "old", to_revision=Revision(to_revision))
        options = EmbeddedOptions(log_dir=tmp_path / f"new-{to_revision}")
        restore_offline([image[:100], image[100:]], options, replay=replay, keep_numbers=True)

    restore(at_image + 1)
    assert await values(tmp_path / f"new-{at_image + 1}") == {b"key": b"after"}
    restore(last)
    assert await values(tmp_path / f"new-{last}") == {b"key": b"after", b"other": b"v"}
    with pytest.raises(Invalid) as refused:
        restore(last + 1)
    assert refused.value.details["revision"] == last
    assert not (tmp_path / f"new-{last + 1}").exists()


async def test_a_damaged_image_a_full_directory_and_a_running_store_are_refused(
    tmp_path: Path,
) -> None:
    image, at_image, _ = await make_store(tmp_path / "old")
    options = EmbeddedOptions(log_dir=tmp_path / "old")
    with pytest.raises(AlreadyExists):
        restore_offline([image], options)
    with pytest.raises(Corrupt):
        restore_offline([image[:-1]], EmbeddedOptions(log_dir=tmp_path / "new"))
    with pytest.raises(Invalid):
        restore_offline([image], EmbeddedOptions())
    async with embedded(tmp_path / "old"):
        replay = ReplayLog(log_dir=tmp_path / "old", to_revision=Revision(at_image + 1))
        with pytest.raises(Unavailable):
            restore_offline([image], EmbeddedOptions(log_dir=tmp_path / "new"), replay=replay)
