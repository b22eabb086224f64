"""The service: what is refused while something is under way, and what ends with it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.support.snapshots import KIB, noise, service_with_small_chunks
from tests.support.stores import WAIT_S_MAX, embedded

from decube.kit.errors import (
    AlreadyExists,
    Closed,
    Conflict,
    Damaged,
    Exhausted,
    Invalid,
    NotFound,
    Unavailable,
)
from decube.services.snapshots import (
    Catalogue,
    SnapshotDependencies,
    SnapshotDraft,
    SnapshotOptions,
    SnapshotService,
)
from decube.services.snapshots.chunk_files import ChunkFile
from decube.services.snapshots.location.folder import FolderLocation
from decube.services.snapshots.readings import READERS_MAX
from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from decube.model.snapshot import SnapshotView
    from decube.services.snapshots.catalogue import CataloguePage
    from decube.store.embedded import EmbeddedStore
    from decube.store.image_files import ImagePiece
    from decube.store.types import Revision


class SlowFolder(FolderLocation):
    """A folder that waits, when told to, before it reads or writes; and that may be full."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.waited = asyncio.Event()
        self.waiting = 0
        self.full = False
        self.gone = False

    def halt(self) -> None:
        self.goes_on.clear()
        self.waited.clear()

    @property
    def files(self) -> None:  # type: ignore[override]
        """Objects of a slow one come through here."""

    async def read(self, key: str, offset: int, length: int) -> bytes:
        if "chunk" in key:
            await self._wait()
            if self.gone:
                raise Unavailable("the location does not answer")
        return await super().read(key, offset, length)

    async def write(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        # The last of four: two are written at once, so others are there by then.
        if key.endswith("chunk-3"):
            await self._wait()
        if self.full and key.endswith("chunk-3"):
            raise Exhausted("there is no room", reason="no_room")
        await super().write(key, pieces)

    async def _wait(self) -> None:
        if not self.goes_on.is_set():
            self.waiting += 1
            self.waited.set()
            await self.goes_on.wait()
            self.waiting -= 1

    async def have_waiting(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S_MAX):
            while self.waiting < count:
                self.waited.clear()
                await self.waited.wait()


class Scene:
    def __init__(self, store: EmbeddedStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.location = SlowFolder(folder)
        self.service = service_with_small_chunks(store, self.location)

    async def fill(self) -> None:
        for number in range(4):
            await self.store.txn(Txn(success=(Put(b"key-%d" % number, noise(50 * KIB)),)))

    async def created(self) -> str:
        return (await self.service.create(SnapshotDraft())).id


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path) as made:
        await made.fill()
        yield made


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    async with embedded() as store, asyncio.timeout(WAIT_S_MAX):
        made = Scene(store, folder)
        try:
            yield made
        finally:
            made.location.goes_on.set()
            await made.service.close()


async def test_one_is_created_at_a_time(scene: Scene) -> None:
    scene.location.halt()
    begun, task = scene.service.begin(SnapshotDraft())
    assert begun.status == "creating"
    await scene.location.waited.wait()
    with pytest.raises(Conflict, match=begun.id) as refused:
        await scene.service.create(SnapshotDraft())
    assert refused.value.details["id"] == begun.id
    scene.location.goes_on.set()
    assert (await task).id == begun.id
    assert await scene.created() != begun.id


async def test_whoever_leaves_does_not_end_it(scene: Scene) -> None:
    scene.location.halt()
    waiting = asyncio.create_task(scene.service.create(SnapshotDraft()))
    await scene.location.waited.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert [view.status for view in (await scene.service.list()).snapshots] == ["creating"]
    scene.location.goes_on.set()
    (snapshot,) = (await scene.service.list()).snapshots
    while snapshot.status == "creating":
        snapshot = await scene.service.get(snapshot.id)
    assert snapshot.status == "completed"


async def test_its_progress_is_told(scene: Scene) -> None:
    scene.location.halt()
    begun, task = scene.service.begin(SnapshotDraft())
    await scene.location.waited.wait()
    progress = await scene.service.progress(begun.id)
    assert progress.phase == "creating"
    assert 0 <= progress.progress < 100
    assert 2 <= progress.chunks_uploaded < progress.chunks_total
    scene.location.goes_on.set()
    await task
    assert (await scene.service.progress(begun.id)).phase == "completed"


async def test_one_that_fails_leaves_no_chunks_and_says_why(scene: Scene) -> None:
    scene.location.full = True
    begun, task = scene.service.begin(SnapshotDraft())
    with pytest.raises(Exhausted, match="there is no room"):
        await task
    assert list(await scene.location.list_objects("snapshots")) == []
    failed = await scene.service.get(begun.id)
    assert (failed.status, failed.error) == ("failed", "there is no room")
    progress = await scene.service.progress(begun.id)
    assert (progress.phase, progress.errors) == ("failed", ["there is no room"])
    assert progress.error_code == "exhausted"
    assert await scene.service.delete(begun.id)
    assert (await scene.service.list()).snapshots == []


async def test_closing_ends_what_is_created_and_removes_it(scene: Scene) -> None:
    scene.location.halt()
    waiting = asyncio.create_task(scene.service.create(SnapshotDraft()))
    await scene.location.waited.wait()
    assert len(await scene.location.list_objects("snapshots")) >= 2
    await scene.service.close()
    with pytest.raises(Closed, match="the node is stopping"):
        await waiting
    assert list(await scene.location.list_objects("snapshots")) == []
    with pytest.raises(Closed):
        scene.service.begin(SnapshotDraft())


async def test_one_that_is_completed_while_snapshots_are_listed_is_listed(scene: Scene) -> None:
    scene.location.halt()
    begun, task = scene.service.begin(SnapshotDraft())
    await scene.location.waited.wait()
    look = scene.service.catalogue.page

    async def look_and_wait(limit: int, first_id: str = "") -> CataloguePage:
        page = await look(limit, first_id)
        scene.location.goes_on.set()
        await task
        return page

    scene.service.catalogue.page = look_and_wait  # type: ignore[method-assign]
    assert [view.id for view in (await scene.service.list()).snapshots] == [begun.id]


async def test_one_that_is_in_use_is_not_deleted(scene: Scene) -> None:
    name = await scene.created()
    scene.location.halt()
    restoring = asyncio.create_task(scene.service.restore(name))
    await scene.location.waited.wait()
    assert (await scene.service.progress(name)).phase == "restoring"
    with pytest.raises(Conflict, match="restoring"):
        await scene.service.delete(name)
    with pytest.raises(Conflict, match=name):
        await scene.service.restore(name)
    scene.location.goes_on.set()
    await restoring
    assert await scene.service.delete(name)


async def test_not_many_are_read_at_once(scene: Scene) -> None:
    name = await scene.created()
    scene.location.halt()
    verifying = [asyncio.create_task(scene.service.verify(name)) for _ in range(READERS_MAX)]
    await scene.location.have_waiting(READERS_MAX)
    with pytest.raises(Exhausted, match="being read already"):
        await scene.service.verify(name)
    scene.location.goes_on.set()
    assert all(result.valid for result in await asyncio.gather(*verifying))


async def test_a_restore_that_is_cancelled_changes_nothing(scene: Scene) -> None:
    name = await scene.created()
    last = (await scene.store.txn(Txn(success=(Put(b"later", b"v"),)))).revision
    scene.location.halt()
    restoring = asyncio.create_task(scene.service.restore(name))
    await scene.location.waited.wait()
    restoring.cancel()
    await asyncio.wait([restoring])
    assert (await scene.store.status()).revision == last
    assert (await scene.service.progress(name)).phase == "failed"


async def test_a_restore_that_is_cancelled_too_late_is_told_as_restored(
    scene: Scene, tmp_path: Path
) -> None:
    name = await scene.created()
    last = (await scene.store.txn(Txn(success=(Put(b"later", b"v"),)))).revision

    async def cancelled_while_it_is_installed(image: AsyncIterator[ImagePiece]) -> Revision:
        async def pieces() -> AsyncIterator[ImagePiece]:
            async for piece in image:
                assert isinstance(piece, ChunkFile)
                yield replace(piece, on_read=cancel_behind_the_last)
            is_last.set()

        return await scene.store.restore(pieces())

    def cancel_behind_the_last() -> None:
        if is_last.is_set():
            # Once the store waits for what it cannot take back any more.
            asyncio.get_running_loop().call_soon(restoring.cancel)

    is_last = asyncio.Event()

    service = SnapshotService(
        SnapshotDependencies(
            source=scene.store,
            catalogue=Catalogue(FolderLocation(tmp_path)),
            restore=cancelled_while_it_is_installed,
        ),
        SnapshotOptions(),
    )
    with capture_logs() as logs:
        restoring = asyncio.create_task(service.restore(name))
        await asyncio.wait([restoring])
    assert restoring.cancelled()
    assert [entry["event"] for entry in logs] == ["a snapshot was restored in place"]
    assert logs[0]["revision"] == (await scene.store.status()).revision > last
    assert (await service.progress(name)).phase == "completed"
    await service.close()


async def test_damage_that_hashes_are_not_asked_for_is_found_by_the_image(
    scene: Scene, tmp_path: Path
) -> None:
    name = await scene.created()
    chunk = tmp_path / "snapshots" / name / "chunk-1"
    content = bytearray(chunk.read_bytes())
    content[1000] ^= 1
    chunk.write_bytes(content)
    last = (await scene.store.status()).revision
    with pytest.raises(Damaged):
        await scene.service.restore(name, skip_hash_check=True)
    assert (await scene.store.status()).revision == last


async def test_damage_is_told_until_the_hashes_are_right_again(
    scene: Scene, tmp_path: Path
) -> None:
    name = await scene.created()
    path = tmp_path / "snapshots" / name / "manifest.json"
    sound = path.read_text()
    manifest = json.loads(sound)
    manifest["chunks"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    assert not (await scene.service.verify(name)).valid
    await scene.service.restore(name, skip_hash_check=True)
    assert (await scene.service.progress(name)).phase == "failed"
    path.write_text(sound)
    await scene.service.restore(name)
    assert (await scene.service.progress(name)).phase == "completed"
    await scene.service.restore(name, skip_hash_check=True)
    assert (await scene.service.progress(name)).phase == "completed"


async def test_where_there_is_no_restore_in_place_it_says_what_to_do(tmp_path: Path) -> None:
    async with embedded() as store:
        service = SnapshotService(
            SnapshotDependencies(source=store, catalogue=Catalogue(FolderLocation(tmp_path))),
            SnapshotOptions(),
        )
        snapshot = await service.create(SnapshotDraft())
        with pytest.raises(Invalid, match="on the backend etcd") as refused:
            await service.restore(snapshot.id)
        assert "--to-endpoint" in str(refused.value.details["hint"])
        await service.close()


async def test_a_manifest_that_cannot_be_read_hides_no_other(scene: Scene, tmp_path: Path) -> None:
    names = [await scene.created() for _ in range(3)]
    (tmp_path / "snapshots" / names[1] / "manifest.json").write_text("{")
    page = await scene.service.list()
    assert [view.id for view in page.snapshots] == [names[2], names[0]]
    assert page.unreadable == 1
    with pytest.raises(Damaged, match=f"manifest of snapshot {names[1]} is damaged"):
        await scene.service.get(names[1])
    assert await scene.service.delete(names[1])
    assert (await scene.service.list()).unreadable == 0


async def test_a_damaged_manifest_is_a_damaged_snapshot(scene: Scene, tmp_path: Path) -> None:
    snapshot_id = await scene.created()
    (tmp_path / "snapshots" / snapshot_id / "manifest.json").write_text("{")
    verified = await scene.service.verify(snapshot_id)
    assert (verified.valid, verified.chunks_checked) == (False, 0)
    assert verified.errors[0].startswith(f"the manifest of snapshot {snapshot_id} is damaged: ")
    with pytest.raises(Damaged, match="the manifest of snapshot"):
        await scene.service.restore(snapshot_id)


@pytest.mark.parametrize("skip_hash_check", [False, True])
async def test_damage_that_only_the_store_finds_is_told_of_the_snapshot(
    scene: Scene, tmp_path: Path, *, skip_hash_check: bool
) -> None:
    snapshot_id = await scene.created()
    chunk = tmp_path / "snapshots" / snapshot_id / "chunk-0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    before = (await scene.store.status()).revision
    with capture_logs() as logged, pytest.raises(Damaged, match=f"snapshot {snapshot_id} is dam"):
        await scene.service.restore(snapshot_id, skip_hash_check=skip_hash_check)
    assert [event["event"] for event in logged] == ["a snapshot was not restored"]
    assert snapshot_id in logged[0]["error"]
    assert (await scene.store.status()).revision == before


@pytest.mark.parametrize("snapshot_id", ["x", "snap-1", "../a"])
async def test_what_can_be_no_id_is_told_once(scene: Scene, snapshot_id: str) -> None:
    for asked in (scene.service.get, scene.service.progress, scene.service.restore):
        with pytest.raises(NotFound) as refused:
            await asked(snapshot_id)
        assert refused.value.message == (
            f"there is no snapshot '{snapshot_id}': ids look like snap-20260131T120000000Z-1f2e3d4c"
        )


async def test_one_that_is_downloaded_is_not_deleted_meanwhile(scene: Scene) -> None:
    name = await scene.created()
    download = await scene.service.download(name)
    await anext(download.content)
    with pytest.raises(Conflict, match=r"is in use \(downloading\): wait for its end"):
        await scene.service.delete(name)
    # Also when the client leaves in the middle.
    await download.content.aclose()
    assert await scene.service.delete(name)


async def test_one_that_another_node_deletes_while_it_is_downloaded_is_gone_and_not_damaged(
    scene: Scene,
) -> None:
    name = await scene.created()
    download = await scene.service.download(name)
    await anext(download.content)
    assert await Scene(scene.store, scene.folder).service.delete(name)
    with pytest.raises(NotFound, match=f"there is no snapshot {name} any more"):
        _ = [piece async for piece in download.content]
    assert (await scene.service.progress(name)).error_code == NotFound.code


async def downloaded(scene: Scene, name: str) -> bytes:
    return b"".join([piece async for piece in (await scene.service.download(name)).content])


READINGS = {
    "verify": lambda scene, name: scene.service.verify(name),
    "download": downloaded,
    "restore": lambda scene, name: scene.service.restore(name),
}


@pytest.mark.parametrize("found_by", READINGS)
@pytest.mark.parametrize("read_by", READINGS)
async def test_damage_is_told_until_it_is_read_whole_again(
    scene: Scene, found_by: str, read_by: str
) -> None:
    name = await scene.created()
    chunk = scene.folder / "snapshots" / name / "chunk-1"
    content = chunk.read_bytes()
    chunk.write_bytes(bytes(len(content)))
    with suppress(Damaged):
        await READINGS[found_by](scene, name)
    found = await scene.service.progress(name)
    assert (found.phase, found.error_code) == ("failed", Damaged.code)
    assert "chunk-1" in "; ".join(found.errors)
    assert found.failed_at
    chunk.write_bytes(content)
    await READINGS[read_by](scene, name)
    sound = await scene.service.progress(name)
    assert (sound.phase, sound.errors, sound.failed_at) == ("completed", [], "")


@pytest.mark.parametrize("reading", ["verify", "download"])
async def test_a_location_that_cannot_be_reached_says_nothing_of_a_snapshot(
    scene: Scene, reading: str
) -> None:
    name = await scene.created()
    scene.location.gone = True
    with pytest.raises(Unavailable):
        await READINGS[reading](scene, name)
    assert (await scene.service.progress(name)).phase == "completed"
    # Nor that what was found before is not so any more.
    scene.location.gone = False
    (scene.folder / "snapshots" / name / "chunk-1").write_bytes(b"")
    await scene.service.verify(name)
    found = await scene.service.progress(name)
    scene.location.gone = True
    with pytest.raises(Unavailable):
        await READINGS[reading](scene, name)
    assert await scene.service.progress(name) == found


async def test_a_client_that_leaves_a_download_says_nothing_of_a_snapshot(scene: Scene) -> None:
    name = await scene.created()
    (scene.folder / "snapshots" / name / "chunk-1").write_bytes(b"")
    await scene.service.verify(name)
    found = await scene.service.progress(name)
    assert found.error_code == Damaged.code
    download = await scene.service.download(name)
    await anext(download.content)
    await download.content.aclose()
    assert await scene.service.progress(name) == found


async def test_damage_that_is_found_again_is_told_with_its_time(scene: Scene) -> None:
    name = await scene.created()
    (scene.folder / "snapshots" / name / "chunk-1").write_bytes(b"")
    told = []
    for _ in range(2):
        with pytest.raises(Damaged):
            await downloaded(scene, name)
        told.append((await scene.service.progress(name)).failed_at)
    assert told[0] < told[1]


async def archived(scene: Scene) -> tuple[str, bytes]:
    """Return a snapshot that is no more in the location."""
    name = await scene.created()
    archive = b"".join([piece async for piece in (await scene.service.download(name)).content])
    await scene.service.delete(name)
    return name, archive


async def begun_upload(
    scene: Scene, name: str, archive: bytes
) -> tuple[asyncio.Task[SnapshotView], asyncio.Event]:
    """Upload the first half; the upload breaks off when the event is set."""
    begun, ends = asyncio.Event(), asyncio.Event()

    async def broken() -> AsyncIterator[bytes]:
        yield archive[: len(archive) // 2]
        begun.set()
        await ends.wait()

    uploading = asyncio.create_task(scene.service.upload(name, broken()))
    await begun.wait()
    return uploading, ends


async def whole(archive: bytes) -> AsyncIterator[bytes]:
    yield archive


async def test_an_upload_that_fails_leaves_what_another_node_stored_meanwhile(
    scene: Scene,
) -> None:
    name, archive = await archived(scene)
    failing, ends = await begun_upload(scene, name, archive)
    await Scene(scene.store, scene.folder).service.upload(name, whole(archive))
    ends.set()
    with pytest.raises(Invalid, match="ends too early"):
        await failing
    assert (await scene.service.verify(name)).valid


async def test_what_a_failed_upload_to_another_node_removed_is_not_told_as_stored(
    scene: Scene,
) -> None:
    name, archive = await archived(scene)
    failing, ends = await begun_upload(scene, name, archive)
    other = Scene(scene.store, scene.folder)
    other.location.halt()
    storing = asyncio.create_task(other.service.upload(name, whole(archive)))
    await other.location.waited.wait()
    ends.set()
    with pytest.raises(Invalid, match="ends too early"):
        await failing
    other.location.goes_on.set()
    with pytest.raises(Unavailable, match="send it again"):
        await storing
    await other.service.upload(name, whole(archive))
    assert (await other.service.verify(name)).valid


async def test_an_upload_is_refused_while_the_same_one_is_on_its_way_and_may_be_tried_again(
    scene: Scene,
) -> None:
    name, archive = await archived(scene)
    dying, ends = await begun_upload(scene, name, archive)
    with pytest.raises(Conflict, match="is being uploaded already: try again"):
        await scene.service.upload(name, whole(archive))
    ends.set()
    with pytest.raises(Invalid, match="ends too early"):
        await dying
    await scene.service.upload(name, whole(archive))
    with pytest.raises(AlreadyExists):
        await scene.service.upload(name, whole(archive))
