"""Time, as something that is passed in: the machine's clocks, and one that tests move by hand.

Everything that waits, measures or stamps takes a `Clock`. Durations and deadlines use
`monotonic_s`; `now` is for what people and other machines read, and may jump.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from decube.kit.errors import require


class Clock(Protocol):
    """What the product knows of time."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        ...

    def now(self) -> datetime:
        """Tell the wall time, in UTC."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait; zero or less only lets other tasks run."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        return time.monotonic()

    def now(self) -> datetime:
        """Tell the wall time, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads it

    async def sleep(self, duration_s: float) -> None:
        """Wait; zero or less only lets other tasks run."""
        await asyncio.sleep(max(0.0, duration_s))


class ManualClock:
    """A clock that stands still until `advance`: the fake for tests, on the same contract.

    Sleepers wake in the order of their deadlines, and of their arrival when those are equal; each
    sees its own deadline as the time, as it would with a real clock that never is late.
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = now
        self._elapsed_s = 0.0
        self._arrivals = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic_s(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_s

    def now(self) -> datetime:
        """Tell the start plus what was advanced."""
        return self._start + timedelta(seconds=self._elapsed_s)

    @property
    def sleepers(self) -> int:
        """How many tasks are asleep: what a test waits for before it advances."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def sleep(self, duration_s: float) -> None:
        """Wait until the clock was advanced that far."""
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        deadline_s = self._elapsed_s + duration_s
        heapq.heappush(self._sleepers, (deadline_s, next(self._arrivals), wake))
        await wake

    async def advance(self, duration_s: float) -> None:
        """Move time on, waking each sleeper on the way and letting it run."""
        require(duration_s >= 0, "time never goes back")
        target_s = self._elapsed_s + duration_s
        while self._sleepers and self._sleepers[0][0] <= target_s:
            deadline_s, _, wake = heapq.heappop(self._sleepers)
            self._elapsed_s = deadline_s
            if not wake.done():
                wake.set_result(None)
            await asyncio.sleep(0)
        self._elapsed_s = target_s
        await asyncio.sleep(0)
