"""How many objects there are of each resource, as a metric; on a standby, as it has them.

Counted in the store now and then, because a scrape must not wait for a count, and never for more
than a small share of the time: counting a million keys takes a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Gauge

from decube.kit.clock import SystemClock
from decube.kit.errors import DecubeError
from decube.store.types import RangeRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from decube.kit.clock import Clock
    from decube.store.protocol import Store
    from decube.store.types import KeyRange

COUNT_INTERVAL_S = 5.0
PAUSE_PER_COUNT = 100
_SYSTEM_CLOCK = SystemClock()

_log = structlog.get_logger("decube.catalogue")


class CatalogueCounts:
    """Counts the keys of each resource; `run` it as a task, on the store's event loop."""

    def __init__(
        self,
        store: Store,
        resources: Mapping[str, KeyRange],
        *,
        clock: Clock = _SYSTEM_CLOCK,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        self._store = store
        self._resources = resources
        self._clock = clock
        self._entries = Gauge(
            "decube_catalog_entries_total",
            "Objects in the store by resource, as last counted",
            ("resource",),
            registry=metrics or CollectorRegistry(),
        )

    async def run(self) -> NoReturn:
        """Count until cancelled. What cannot be counted keeps its last figure."""
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await self._count()
            except DecubeError as error:
                _log.debug("cannot count the objects", error=error.message)
            took_s = self._clock.monotonic_s() - began_s
            await self._clock.sleep(max(COUNT_INTERVAL_S, took_s * PAUSE_PER_COUNT))

    async def _count(self) -> None:
        for resource, keys in self._resources.items():
            request = RangeRequest(range=keys, count_only=True, serializable=True)
            counted = await self._store.range(request)
            self._entries.labels(resource).set(counted.count)
