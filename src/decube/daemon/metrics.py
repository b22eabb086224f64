"""The metrics of the process and of the embedded store, read when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from decube.kit.errors import DecubeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    Statistics = Callable[[], Mapping[str, int]]

_PREFIX = "decube_store_"

# Since the store was opened; all other figures may fall.
_COUNTERS = frozenset({"commands", "commits", "log_bytes", "storage_failures"})


def process_metrics(statistics: Statistics | None) -> CollectorRegistry:
    """Return a registry with what the process costs, and the store's figures if there are any."""
    metrics = CollectorRegistry()
    ProcessCollector(registry=metrics)
    if statistics is not None:
        metrics.register(_StoreCollector(statistics))
    return metrics


class _StoreCollector(Collector):
    """The engine's figures by their own names, as `decube_store_<name>`; counters with `_total`."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: the figures are the engine's."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read the figures; none once the store is closed."""
        try:
            figures = self._statistics()
        except DecubeError:
            return
        for name, value in sorted(figures.items()):
            # Identities are labels of a cluster, not figures; as floats they would be wrong, too.
            if not name.endswith("_id"):
                text = f"The store's {name.replace('_', ' ')}."
                family = CounterMetricFamily if name in _COUNTERS else GaugeMetricFamily
                yield family(_PREFIX + name, text, value=value)
