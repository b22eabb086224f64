"""Forgets history by time: what is older than `etcd.auto_compaction_retention` is compacted away.

As etcd's periodic compactor does it: the revision is looked at ten times in a retention (and in an
hour), and the store is compacted to the newest one that is at least a retention old, every
retention or every hour, whichever is shorter. Nothing is kept over a restart: a process that has
run for less than a retention does not know what is old enough, and compacts nothing.

It reads the store's revision and asks for a compaction, no more, so any number may run on one
store. What fails is tried again at the next look.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter

from decube.kit.clock import SystemClock
from decube.kit.errors import Compacted, DecubeError, NotLeader, require
from decube.store.types import Revision

if TYPE_CHECKING:
    from typing import NoReturn

    from decube.kit.clock import Clock
    from decube.store.protocol import Store

COMPACTION_INTERVAL_S_MAX = 3600.0
LOOKS_PER_INTERVAL = 10
# A retention of milliseconds would otherwise be a busy loop.
LOOK_INTERVAL_S_MIN = 0.1
_FRESH = Revision(1)

_log = structlog.get_logger("decube.compaction")
_SYSTEM_CLOCK = SystemClock()


class RevisionWindow:
    """Which revision the store was at, when: (second, revision), the oldest first.

    With samples (0, 5) (6, 8) (12, 8), `take_until(7)` is 8 and leaves (6, 8) (12, 8): the first
    one speaks for all of the time before the next.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Revision]] = deque()

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, second: float, revision: Revision) -> None:
        """Note the revision at a moment, later than all before."""
        self._samples.append((second, revision))

    def take_until(self, second: float) -> Revision | None:
        """Return the revision at a moment, and forget what came before; None if nobody looked."""
        samples = self._samples
        while len(samples) > 1 and samples[1][0] <= second:
            samples.popleft()
        return samples[0][1] if samples and samples[0][0] <= second else None


class HistoryCompaction:
    """One store's compaction by time; `run` it as a task, on the store's event loop."""

    def __init__(
        self,
        store: Store,
        retention_s: float,
        *,
        clock: Clock = _SYSTEM_CLOCK,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        require(retention_s > 0, "a retention of 0 means that nothing is compacted: do not run it")
        self._store = store
        self._clock = clock
        self._retention_s = retention_s
        self._interval_s = min(retention_s, COMPACTION_INTERVAL_S_MAX)
        self._look_interval_s = max(self._interval_s / LOOKS_PER_INTERVAL, LOOK_INTERVAL_S_MIN)
        self._window = RevisionWindow()
        self._compacted = _FRESH
        self._compacted_s = clock.monotonic_s()
        self._failing = False
        runs = Counter(
            "decube_compactions",
            "Compactions of the store's history by etcd.auto_compaction_retention",
            ("result",),
            registry=metrics or CollectorRegistry(),
        )
        self._done, self._failed = runs.labels("done"), runs.labels("failed")

    async def run(self) -> NoReturn:
        """Look and compact until cancelled."""
        while True:
            try:
                await self._look()
            except NotLeader:
                # A standby: the compactions of its primary reach it.
                self._failing = False
            except DecubeError as error:
                self._failed.inc()
                if not self._failing:
                    _log.warning("cannot compact the history yet", error=error.message)
                self._failing = True
            else:
                self._failing = False
            await self._clock.sleep(self._look_interval_s)

    async def _look(self) -> None:
        """Note the revision; compact when it is time and there is something to forget."""
        now_s = self._clock.monotonic_s()
        self._window.add(now_s, (await self._store.status()).revision)
        due = self._window.take_until(now_s - self._retention_s)
        if due is None or due <= self._compacted or now_s - self._compacted_s < self._interval_s:
            return
        try:
            await self._store.compact(due)
        except Compacted:
            # Somebody else was faster, and went further.
            pass
        else:
            self._done.inc()
            _log.info("history compacted", revision=due, retention_s=self._retention_s)
        self._compacted, self._compacted_s = due, now_s
