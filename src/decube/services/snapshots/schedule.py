"""Takes snapshots by time, lets the oldest of those go, and sweeps what was never finished.

It looks at the location, not at memory: the next one is due an interval after the newest automatic
one there, whichever node took that, and however often nodes restarted. A revision that has a
snapshot already gets no second one. Only the leader takes any. Waits are jittered, so that nodes
that started together do not come together.

What fails is tried again with backoff, told once for every try, and holds up nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from decube.kit.backoff import Backoff, BackoffPolicy
from decube.kit.clock import SystemClock
from decube.kit.errors import Closed, Conflict, DecubeError, NotLeader, require
from decube.services.snapshots.service import SnapshotDraft

if TYPE_CHECKING:
    from collections.abc import Callable

    from decube.kit.clock import Clock
    from decube.services.snapshots.manifest import Manifest
    from decube.services.snapshots.ports import ImageSource
    from decube.services.snapshots.service import SnapshotService

LOOK_INTERVAL_S_MAX: Final = 30.0
"""How late it may be noticed that this node leads now."""
JITTER: Final = 0.1
RETRY_S_MIN: Final = 5.0
RETRY_S_MAX: Final = 600.0
SWEEP_INTERVAL_S: Final = 3600.0
ABANDONED_AFTER_S: Final = 6 * 3600.0
"""In a location that others may use, what nobody has written to for that long is left over."""

_SYSTEM_CLOCK = SystemClock()
_log = structlog.get_logger("decube.snapshots")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """When, and how many are kept. Without an interval none are taken, and only swept.

    In an `exclusive` location no other node writes: what is half-written there, and not by this
    process, is left over.
    """

    interval_s: float | None
    retention_count: int = 10
    exclusive: bool = False

    def __post_init__(self) -> None:
        """Refuse what could never work."""
        require(self.interval_s is None or self.interval_s > 0, "an interval is above 0")
        require(self.retention_count > 0, "at least the newest snapshot is kept")


class SnapshotSchedule:
    """`run` it as a task. `leads` tells whether this node does, at any moment."""

    def __init__(
        self,
        service: SnapshotService,
        source: ImageSource,
        plan: SchedulePlan,
        leads: Callable[[], bool] = lambda: True,
        clock: Clock = _SYSTEM_CLOCK,
    ) -> None:
        self._service = service
        self._source = source
        self._plan = plan
        self._leads = leads
        self._clock = clock
        self._started_at = clock.now()
        self._skipped_at: datetime | None = None
        interval_s = plan.interval_s or SWEEP_INTERVAL_S
        self._interval_s = interval_s
        self._intervals = _drawn(interval_s)
        self._looks = _drawn(min(LOOK_INTERVAL_S_MAX, interval_s))
        retry_s = min(RETRY_S_MIN, interval_s)
        self._retries = Backoff(
            BackoffPolicy(initial_s=retry_s, max_s=max(retry_s, min(RETRY_S_MAX, interval_s)))
        )
        self._due_s = self._sweep_due_s = clock.monotonic_s()

    async def run(self) -> None:
        """Look after the snapshots until cancelled, or the node stops."""
        while True:
            delay_s = self._looks.next_delay_s()
            if self._leads():
                try:
                    await self._act()
                except Closed:
                    return
                except NotLeader as error:
                    _log.info("another node looks after the snapshots now", reason=error.message)
                    self._due_s = self._clock.monotonic_s() + delay_s
                delay_s = min(delay_s, self._due_s - self._clock.monotonic_s())
            await self._clock.sleep(delay_s)

    async def _act(self) -> None:
        """Sweep and take, if it is time."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        try:
            if now_s >= self._sweep_due_s:
                await self._sweep()
                self._sweep_due_s = now_s + SWEEP_INTERVAL_S
            left_s = await self._take_if_due()
        except (Closed, NotLeader):
            raise
        except DecubeError as error:
            self._service.metrics.failed()
            delay_s = self._retries.next_delay_s()
            _log.warning(
                "cannot look after the snapshots",
                location=self._service.catalogue.location.url,
                error=error.message,
                retry_in_s=round(delay_s, 1),
            )
        else:
            delay_s = left_s
        self._due_s = self._clock.monotonic_s() + delay_s

    async def _take_if_due(self) -> float:
        """Take a snapshot if it is time; return how long until the next look at the location."""
        if self._plan.interval_s is None:
            return SWEEP_INTERVAL_S
        known = [manifest async for manifest in self._service.catalogue.all()]
        self._service.metrics.listed(known)
        # Of several stores that share a location each counts, and retires, its own.
        status = await self._source.status()
        cluster_id = f"{status.cluster_id:016x}"
        known = [manifest for manifest in known if manifest.cluster_id == cluster_id]
        automatic = [manifest for manifest in known if manifest.kind == "automatic"]
        left_s = self._left_s(automatic[0] if automatic else None)
        # The jitter made us come a little early; that is meant.
        if left_s > self._interval_s * JITTER:
            return left_s - self._interval_s * JITTER + self._looks.next_delay_s()
        if known and known[0].etcd_revision == str(status.revision):
            self._service.metrics.skipped()
            self._skipped_at = self._clock.now()
            return self._intervals.next_delay_s()
        try:
            await self._service.create(SnapshotDraft(kind="automatic"))
        except Conflict:
            return self._looks.next_delay_s()  # somebody has one made: look what came of it
        except Closed:
            raise
        except DecubeError:
            return self._retries.next_delay_s()  # the service has told it
        self._retries.reset()
        for manifest in automatic[self._plan.retention_count - 1 :]:
            await self._retire(manifest.id)
        return self._intervals.next_delay_s()

    async def _retire(self, snapshot_id: str) -> None:
        """Delete an old snapshot, unless it is being read: then it goes the next time."""
        with suppress(Conflict):
            if await self._service.delete(snapshot_id):
                _log.info("an old automatic snapshot was deleted", id=snapshot_id)

    def _left_s(self, newest: Manifest | None) -> float:
        """Tell how long until one is due; at most an interval.

        A moment that is ahead was told by a clock that was wrong, here or elsewhere: it does not
        put off the next one for longer than an interval of this process.
        """
        now = self._clock.now()
        moments = [self._started_at]
        if newest is not None:
            moments = [datetime.fromisoformat(newest.created_at)]
        if self._skipped_at is not None:
            moments.append(self._skipped_at)
        past = [moment for moment in moments if moment <= now]
        since = max(past, default=min(self._started_at, now))
        return min(self._interval_s - (now - since).total_seconds(), self._interval_s)

    async def _sweep(self) -> None:
        older_than_s = None if self._plan.exclusive else ABANDONED_AFTER_S
        swept = await self._service.catalogue.sweep(
            self._clock.now(), older_than_s=older_than_s, own=lambda: self._service.own_ids
        )
        if swept:
            _log.info("unfinished snapshots were swept", ids=list(swept))


def _drawn(seconds: float) -> Backoff:
    """Draw waits of about that length."""
    return Backoff(BackoffPolicy(initial_s=seconds, max_s=seconds, factor=1.0, jitter=JITTER))
