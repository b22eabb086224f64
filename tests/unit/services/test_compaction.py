"""Compaction by time: nothing younger than the retention goes, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from tests.support.stores import embedded
from tests.support.waiting import WAIT_S_MAX

from decube.kit.clock import ManualClock
from decube.kit.errors import Compacted, Unavailable
from decube.services.compaction import HistoryCompaction, RevisionWindow
from decube.store.types import KeyRange, Put, RangeRequest, Revision, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.store.embedded import EmbeddedStore
    from decube.store.types import StoreStatus

RETENTION_S = 100.0
LOOK_S = 10.0


class Scene:
    """An embedded store, its compaction, and the clock that drives it."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.clock = ManualClock()
        self.metrics = CollectorRegistry()

    async def advance(self, duration_s: float) -> None:
        """Move time on, a look at a time: each ends before the next."""
        for _ in range(round(duration_s / LOOK_S)):
            await self.asleep()
            await self.clock.advance(LOOK_S)
        await self.asleep()

    async def asleep(self) -> None:
        async with asyncio.timeout(WAIT_S_MAX):
            while not self.clock.sleepers:  # noqa: ASYNC110 - the clock tells nobody
                await asyncio.sleep(0)

    async def put(self) -> Revision:
        put = Put(b"k", b"v")
        return (await self.store.txn(Txn(success=(put,)))).revision

    async def readable(self, revision: Revision) -> bool:
        try:
            await self.store.range(RangeRequest(range=KeyRange(b"k"), revision=revision))
        except Compacted:
            return False
        return True

    def counted(self, result: str) -> float | None:
        return self.metrics.get_sample_value("decube_compactions_total", {"result": result})


@asynccontextmanager
async def compacting(store: EmbeddedStore) -> AsyncIterator[Scene]:
    scene = Scene(store)
    compaction = HistoryCompaction(store, RETENTION_S, clock=scene.clock, metrics=scene.metrics)
    task = asyncio.create_task(compaction.run())
    try:
        await scene.asleep()
        yield scene
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def test_history_goes_when_it_is_a_retention_old_and_not_before() -> None:
    async with embedded() as store, compacting(store) as scene:
        first = await scene.put()
        await scene.advance(50)
        second = await scene.put()
        await scene.advance(50)
        assert await scene.readable(first)
        # The look at 10 s saw `first`, and is a retention old now.
        await scene.advance(LOOK_S)
        assert await scene.readable(first), "the revision compacted to stays readable"
        await scene.put()
        await scene.advance(RETENTION_S)
        assert not await scene.readable(first)
        assert await scene.readable(second)
        assert scene.counted("done") == 2


async def test_a_store_that_nobody_writes_is_left_alone() -> None:
    async with embedded() as store, compacting(store) as scene:
        await scene.put()
        await scene.advance(5 * RETENTION_S)
        assert scene.counted("done") == 1


async def test_after_a_restart_a_whole_retention_passes_first() -> None:
    async with embedded() as store:
        async with compacting(store) as scene:
            first = await scene.put()
            await scene.advance(90)
            second = await scene.put()
        async with compacting(store) as scene:
            await scene.advance(90)
            assert await scene.readable(first)
            await scene.advance(10)
            assert not await scene.readable(first)
            assert await scene.readable(second)


async def test_a_compaction_of_somebody_else_is_fine() -> None:
    async with embedded() as store, compacting(store) as scene:
        await scene.put()
        await scene.advance(20)
        await store.compact(await scene.put())
        await scene.advance(2 * RETENTION_S)
        await scene.put()
        last = await scene.put()
        await scene.advance(3 * RETENTION_S)
        assert not await scene.readable(Revision(last - 1))
        assert scene.counted("failed") == 0


class UnsteadyStore:
    """A store that can be out of reach."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.is_reachable = True

    async def status(self) -> StoreStatus:
        if not self.is_reachable:
            raise Unavailable("nobody answers")
        return await self.store.status()

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


async def test_what_fails_is_counted_logged_once_and_tried_again() -> None:
    async with embedded() as store:
        unsteady = UnsteadyStore(store)
        async with compacting(unsteady) as scene:  # type: ignore[arg-type] - by attributes
            first = await scene.put()
            await scene.advance(LOOK_S)
            second = await scene.put()
            unsteady.is_reachable = False
            with capture_logs() as logged:
                await scene.advance(50)
            assert scene.counted("failed") == 5
            assert [event["log_level"] for event in logged] == ["warning"]
            unsteady.is_reachable = True
            await scene.advance(RETENTION_S)
            assert await scene.readable(first)
            await scene.advance(RETENTION_S)
            assert not await scene.readable(first)
            assert await scene.readable(second)


@pytest.mark.parametrize(
    ("second", "revision", "kept"), [(-1, None, 3), (0, 5, 3), (7, 8, 2), (12, 8, 1), (99, 8, 1)]
)
def test_a_window_knows_the_revision_of_each_moment(
    second: float, revision: int | None, kept: int
) -> None:
    window = RevisionWindow()
    for sample in ((0, 5), (6, 8), (12, 8)):
        window.add(sample[0], Revision(sample[1]))
    assert window.take_until(second) == revision
    assert len(window) == kept
