"""Snapshots by time: when they are due, which of them go, and what happens when they fail."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from tests.support.snapshots import stream
from tests.support.stores import WAIT_S_MAX, embedded

from decube.kit.clock import ManualClock
from decube.kit.errors import Unavailable
from decube.kit.ids import SequentialIds
from decube.services.snapshots import (
    Catalogue,
    SnapshotDependencies,
    SnapshotDraft,
    SnapshotOptions,
    SnapshotService,
)
from decube.services.snapshots.location.folder import FolderLocation
from decube.services.snapshots.metrics import SnapshotMetrics
from decube.services.snapshots.schedule import SchedulePlan, SnapshotSchedule
from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from decube.store.protocol import Store

HOUR_S = 3600.0
PLAN = SchedulePlan(interval_s=HOUR_S, retention_count=2)


class FlakyFolder(FolderLocation):
    """A folder that can be away, or so slow that nothing of a chunk is read."""

    away = False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads_on = asyncio.Event()
        self.reads_on.set()

    async def write(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        if self.away:
            raise Unavailable(f"{self.url} is away")
        await super().write(key, pieces)

    async def read(self, key: str, offset: int, length: int) -> bytes:
        if "chunk" in key:
            await self.reads_on.wait()
        return await super().read(key, offset, length)


@dataclass
class Scene:
    clock: ManualClock
    location: FlakyFolder
    store: Store
    service: SnapshotService
    metrics: CollectorRegistry
    running: asyncio.Task[None] | None = None
    leads: bool = True

    async def write(self, value: str) -> None:
        await self.store.txn(Txn(success=(Put(b"key", value.encode()),)))

    def start(self, plan: SchedulePlan = PLAN) -> None:
        schedule = SnapshotSchedule(self.service, self.store, plan, lambda: self.leads, self.clock)
        self.running = asyncio.create_task(schedule.run())

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps that a task which waits for real things can keep up with."""
        await self.wait_until(lambda: self.clock.sleepers > 0)
        for _ in range(int(seconds // 60)):
            await self.clock.advance(60)
            await self.wait_until(lambda: self.clock.sleepers > 0)

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S_MAX):
            while not holds():
                if self.running is not None and self.running.done():
                    self.running.result()
                await asyncio.sleep(0)

    async def kinds(self) -> list[str]:
        return [snapshot.kind for snapshot in (await self.service.list()).snapshots]

    def count(self, result: str) -> float:
        labels = {"result": result}
        return self.metrics.get_sample_value("decube_snapshots_total", labels) or 0.0


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path) as made:
        yield made


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    clock, location, metrics = ManualClock(), FlakyFolder(folder), CollectorRegistry()
    async with embedded() as store:
        service = SnapshotService(
            SnapshotDependencies(
                source=store,
                catalogue=Catalogue(location),
                metrics=SnapshotMetrics(metrics),
                clock=clock,
                ids=SequentialIds(),
            ),
            SnapshotOptions(tool_version="test"),
        )
        made = Scene(clock, location, store, service, metrics)
        try:
            yield made
        finally:
            if made.running is not None:
                made.running.cancel()
                await asyncio.wait([made.running])
            await service.close()


async def test_one_is_taken_every_interval(scene: Scene) -> None:
    scene.start()
    await scene.write("a")
    await scene.pass_time(0.8 * HOUR_S)
    assert await scene.kinds() == []
    await scene.pass_time(0.3 * HOUR_S)
    assert await scene.kinds() == ["automatic"]
    await scene.write("b")
    await scene.pass_time(1.1 * HOUR_S)
    assert await scene.kinds() == ["automatic"] * 2


async def test_a_revision_that_has_a_snapshot_gets_no_second_one(scene: Scene) -> None:
    scene.start()
    await scene.write("a")
    await scene.pass_time(3.5 * HOUR_S)
    assert await scene.kinds() == ["automatic"]
    assert scene.count("skipped") >= 1
    await scene.write("b")
    await scene.pass_time(1.2 * HOUR_S)
    assert await scene.kinds() == ["automatic"] * 2


async def test_a_manual_one_of_the_same_revision_is_enough(scene: Scene) -> None:
    await scene.write("a")
    await scene.service.create(SnapshotDraft())
    scene.start()
    await scene.pass_time(1.2 * HOUR_S)
    assert await scene.kinds() == ["manual"]


async def test_only_automatic_ones_are_retired(scene: Scene) -> None:
    await scene.write("0")
    await scene.service.create(SnapshotDraft(name="stays"))
    scene.start()
    for number in range(1, 5):
        await scene.write(str(number))
        await scene.pass_time(1.1 * HOUR_S)
    listed = (await scene.service.list()).snapshots
    assert [snapshot.kind for snapshot in listed] == ["automatic", "automatic", "manual"]
    assert scene.metrics.get_sample_value("decube_snapshots_size_bytes")
    assert listed[0].etcd_revision == "6"


async def test_an_old_one_that_is_being_read_is_no_failure_and_goes_the_next_time(
    scene: Scene,
) -> None:
    scene.start()
    for number in range(2):
        await scene.write(str(number))
        await scene.pass_time(1.1 * HOUR_S)
    oldest = (await scene.service.list()).snapshots[-1]
    scene.location.reads_on.clear()
    verifying = asyncio.create_task(scene.service.verify(oldest.id))
    await scene.write("2")
    await scene.pass_time(1.1 * HOUR_S)
    assert await scene.kinds() == ["automatic"] * 3
    assert scene.count("failed") == 0
    scene.location.reads_on.set()
    assert (await verifying).valid
    await scene.write("3")
    await scene.pass_time(1.1 * HOUR_S)
    assert await scene.kinds() == ["automatic"] * 2


async def test_a_restart_does_not_begin_the_interval_anew(scene: Scene) -> None:
    await scene.write("a")
    await scene.service.create(SnapshotDraft(kind="automatic"))
    await scene.write("b")
    await scene.clock.advance(0.95 * HOUR_S)
    scene.start()
    await scene.pass_time(0.1 * HOUR_S)
    assert await scene.kinds() == ["automatic"] * 2


async def test_only_the_leader_takes_any(scene: Scene) -> None:
    scene.leads = False
    scene.start()
    await scene.write("a")
    await scene.pass_time(2 * HOUR_S)
    assert await scene.kinds() == []
    scene.leads = True
    await scene.pass_time(120)
    assert await scene.kinds() == ["automatic"]


async def test_a_location_that_fails_is_tried_again_and_counted(scene: Scene) -> None:
    scene.location.away = True
    scene.start()
    await scene.write("a")
    await scene.pass_time(1.2 * HOUR_S)
    assert scene.count("failed") >= 2
    assert scene.count("completed") == 0
    scene.location.away = False
    await scene.pass_time(700)
    assert scene.count("completed") == 1
    assert [snapshot.status for snapshot in (await scene.service.list()).snapshots].count(
        "completed"
    ) == 1


async def test_without_an_interval_it_only_sweeps(scene: Scene) -> None:
    await scene.location.write("snapshots/snap-20250131T120000000Z-1f2e3d4c/chunk-0", stream(b"x"))
    await scene.write("a")
    scene.start(SchedulePlan(interval_s=None, exclusive=True))
    await scene.pass_time(60)
    assert await scene.service.catalogue.ids() == []
    await scene.pass_time(3 * HOUR_S)
    assert await scene.kinds() == []


async def test_what_others_may_be_writing_is_not_swept(tmp_path: Path) -> None:
    catalogue = Catalogue(FolderLocation(tmp_path))
    ids = [f"snap-20260131T12000000{number}Z-1f2e3d4c" for number in range(2)]
    for name in ids:
        await catalogue.location.write(f"{catalogue.folder(name)}/chunk-0", stream(b"x"))
    (written, *_) = await catalogue.location.list_objects(catalogue.folder(ids[0]))
    early = written.modified_at + timedelta(seconds=99)
    late = written.modified_at + timedelta(seconds=101)
    assert list(await catalogue.sweep(early, older_than_s=100, own=tuple)) == []
    assert list(await catalogue.sweep(late, older_than_s=100, own=lambda: {ids[0]})) == [ids[1]]
    assert await catalogue.ids() == [ids[0]]


async def forge(scene: Scene, folder: Path, **fields: str) -> None:
    """Have the one snapshot that is there say something else of itself."""
    (file,) = await asyncio.to_thread(lambda: list(folder.rglob("manifest.json")))
    manifest = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**manifest, **fields}))
    await scene.write("news")


async def test_a_snapshot_dated_ahead_does_not_put_off_the_next(
    scene: Scene, tmp_path: Path
) -> None:
    await scene.service.create(SnapshotDraft(kind="automatic"))
    ahead = scene.clock.now() + timedelta(days=1000)
    await forge(scene, tmp_path, created_at=ahead.isoformat())
    scene.start()
    await scene.pass_time(2 * HOUR_S)
    assert len(await scene.kinds()) > 1


async def test_snapshots_of_another_store_neither_count_nor_go(
    scene: Scene, tmp_path: Path
) -> None:
    other = await scene.service.create(SnapshotDraft(kind="automatic"))
    await forge(scene, tmp_path, cluster_id="00000000000000aa")
    scene.start()
    for value in "abcd":
        await scene.pass_time(2 * HOUR_S)
        await scene.write(value)
    ids = [snapshot.id for snapshot in (await scene.service.list()).snapshots]
    assert other.id in ids
    assert len(ids) == 1 + PLAN.retention_count
