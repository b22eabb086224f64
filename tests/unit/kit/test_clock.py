"""The manual clock keeps the promises of the real one, only when told to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from decube.kit.clock import Clock, ManualClock, SystemClock
from decube.kit.errors import Internal


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
async def test_every_clock_tells_utc_and_never_goes_back(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC
    before_s = clock.monotonic_s()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic_s() >= before_s


async def test_a_system_clock_sleeps_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    before_s = clock.monotonic_s()
    await clock.sleep(0.01)
    assert clock.monotonic_s() - before_s >= 0.009


async def test_sleepers_wake_in_deadline_order_and_see_their_own_deadline() -> None:
    clock = ManualClock()
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, duration_s: float) -> None:
        await clock.sleep(duration_s)
        seen.append((name, clock.monotonic_s()))

    async with asyncio.TaskGroup() as tasks:
        for name, duration_s in (("late", 3.0), ("early", 1.0), ("second", 1.0), ("never", 9.0)):
            last = tasks.create_task(sleeper(name, duration_s))
        await asyncio.sleep(0)
        assert clock.sleepers == 4
        await clock.advance(5)
        assert seen == [("early", 1.0), ("second", 1.0), ("late", 3.0)]
        assert clock.sleepers == 1
        last.cancel()
    assert clock.sleepers == 0


async def test_advancing_moves_the_wall_clock_too() -> None:
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    clock = ManualClock(start)
    await clock.advance(90)
    assert clock.now() == start + timedelta(seconds=90)


async def test_time_cannot_be_moved_back() -> None:
    with pytest.raises(Internal, match="never goes back"):
        await ManualClock().advance(-1)
