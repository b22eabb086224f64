"""Where chunks are files and parts of the image as they are, the core alone moves their bytes."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.support.snapshots import CHUNK_BYTES, KIB, noise, service_with_small_chunks
from tests.support.stores import WAIT_S_MAX, embedded

from decube.kit.errors import Closed, Damaged, Denied, Exhausted, NotFound
from decube.services.snapshots import SnapshotDraft
from decube.services.snapshots.location.folder import FolderLocation
from decube.store.types import KeyRange, Put, RangeRequest, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from decube.store.embedded import EmbeddedStore

VALUES = {b"key-%d" % number: noise(50 * KIB, number) for number in range(4)}


class CoreFolder(FolderLocation):
    """A folder of whose chunks no byte may come through Python; the last can be made to wait."""

    goes_on: asyncio.Event | None = None
    begun = asyncio.Event()
    full = False

    async def read(self, key: str, offset: int, length: int) -> bytes:
        assert "chunk" not in key
        return await super().read(key, offset, length)

    async def write(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        assert "chunk" not in key
        await super().write(key, pieces)

    async def fill(self, key: str, fill: Callable[[Path], Awaitable[None]]) -> None:
        async def fill_later(path: Path) -> None:
            if key.endswith("chunk-3"):
                self.begun.set()
                if self.goes_on is not None:
                    await self.goes_on.wait()
                if self.full:
                    raise OSError(errno.ENOSPC, "No space left on device")
            await fill(path)

        await super().fill(key, fill_later)


class Scene:
    def __init__(self, store: EmbeddedStore, folder: Path) -> None:
        self.store = store
        self.location = CoreFolder(folder)
        self.location.begun = asyncio.Event()
        self.service = service_with_small_chunks(store, self.location)

    async def found(self) -> dict[bytes, bytes]:
        result = await self.store.range(RangeRequest(range=KeyRange.prefix(b"")))
        return {item.key: item.value for item in result.kvs}

    async def remaining(self) -> list[str]:
        return [stored.key for stored in await self.location.list_objects("snapshots")]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with embedded() as store, asyncio.timeout(WAIT_S_MAX):
        made = Scene(store, tmp_path)
        for key, value in VALUES.items():
            await store.txn(Txn(success=(Put(key, value),)))
        try:
            yield made
        finally:
            await made.service.close()


async def test_a_snapshot_is_whole_as_its_manifest_says_and_comes_back(
    scene: Scene, tmp_path: Path
) -> None:
    name = (await scene.service.create(SnapshotDraft())).id
    manifest = await scene.service.catalogue.get(name)
    whole = b""
    for chunk in manifest.chunks:
        content = (tmp_path / "snapshots" / name / chunk.name).read_bytes()
        assert (chunk.plain_bytes, chunk.stored_bytes) == (len(content), len(content))
        assert chunk.sha256 == hashlib.sha256(content).hexdigest()
        whole += content
    assert [chunk.stored_bytes for chunk in manifest.chunks][:3] == [CHUNK_BYTES] * 3
    assert (manifest.size_bytes, manifest.checksum) == (
        len(whole),
        hashlib.sha256(whole).hexdigest(),
    )
    assert len(manifest.chunks) == 4

    await scene.store.txn(Txn(success=(Put(b"key-1", b"other"), Put(b"later", b"v"))))
    before = (await scene.store.status()).revision
    await scene.service.restore(name)
    assert await scene.found() == VALUES
    assert (await scene.store.status()).revision > before
    progress = await scene.service.progress(name)
    assert (progress.phase, progress.progress) == ("completed", 100)
    assert (progress.chunks_uploaded, progress.chunks_total) == (4, 4)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def remove(path: Path) -> None:
    path.unlink()


def write(path: Path) -> None:
    path.write_bytes(b"content")


@pytest.mark.parametrize("skip_hash_check", [False, True])
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (flip, "damaged"),
        (cut_short, "100 bytes short"),
        (remove, "is not there"),
    ],
)
@pytest.mark.parametrize("chunk", ["chunk-0", "chunk-3"])
async def test_a_damaged_one_changes_nothing(
    scene: Scene,
    harm: Callable[[Path], None],
    told: str,
    chunk: str,
    *,
    skip_hash_check: bool,
) -> None:
    name = (await scene.service.create(SnapshotDraft())).id
    await scene.store.txn(Txn(success=(Put(b"later", b"v"),)))
    harm(scene.location.path(f"snapshots/{name}/{chunk}"))
    with pytest.raises(Damaged, match=told):
        await scene.service.restore(name, skip_hash_check=skip_hash_check)
    assert await scene.found() == {**VALUES, b"later": b"v"}


async def test_how_far_it_came_counts_the_chunks_that_are_sound(scene: Scene) -> None:
    name = (await scene.service.create(SnapshotDraft())).id
    flip(scene.location.path(f"snapshots/{name}/chunk-2"))
    with pytest.raises(Damaged, match="chunk-2"):
        await scene.service.restore(name)
    progress = await scene.service.progress(name)
    assert (progress.phase, progress.chunks_uploaded) == ("failed", 2)
    assert 0 < progress.progress < 100


async def test_the_hash_alone_finds_a_chunk_of_another_snapshot(
    scene: Scene, tmp_path: Path
) -> None:
    one = (await scene.service.create(SnapshotDraft())).id
    other = (await scene.service.create(SnapshotDraft())).id
    chunks = [f"chunk-{number}" for number in range(4)]
    for chunk in chunks:
        (tmp_path / "snapshots" / other / chunk).rename(tmp_path / "snapshots" / one / chunk)
    with pytest.raises(Damaged, match=f"chunk-0 of snapshot {one} is damaged: its SHA-256"):
        await scene.service.restore(one)
    assert await scene.service.restore(one, skip_hash_check=True)


async def test_one_that_finds_no_room_leaves_nothing(scene: Scene) -> None:
    scene.location.full = True
    with pytest.raises(Exhausted, match=r"cannot write .*chunk-3.*no space left"):
        await scene.service.create(SnapshotDraft())
    assert await scene.remaining() == []


async def test_one_that_is_given_up_leaves_nothing(scene: Scene) -> None:
    scene.location.goes_on = asyncio.Event()
    creating = asyncio.create_task(scene.service.create(SnapshotDraft()))
    await scene.location.begun.wait()
    assert len(await scene.remaining()) >= 3
    await scene.service.close()
    with pytest.raises(Closed):
        await creating
    assert await scene.remaining() == []


async def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    location = FolderLocation(tmp_path)

    async def fill(path: Path) -> None:
        write(path)
        with pytest.raises(NotFound):
            await location.read("folder/one", 0, 9)

    await location.fill("folder/one", fill)
    assert await location.read("folder/one", 0, 9) == b"content"


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError(errno.EACCES, "Permission denied"), Denied), (ValueError("mine"), ValueError)],
)
async def test_a_file_that_is_not_filled_goes(
    tmp_path: Path, error: Exception, told: type[Exception]
) -> None:
    location = FolderLocation(tmp_path)

    async def fill(path: Path) -> None:
        write(path)
        raise error

    with pytest.raises(told):
        await location.fill("folder/one", fill)
    assert list(await location.list_objects("")) == []
