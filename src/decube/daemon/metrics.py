"""The metrics of the process, the node and the embedded store, read when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from decube.daemon.host_metrics import HostMetrics
from decube.kit.errors import DecubeError
from decube.kit.log_file import log_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

    from decube.services.node import NodeInfoSource

    Statistics = Callable[[], Mapping[str, int]]

_PREFIX = "decube_store_"

_MEANINGS = {
    "commands": "Commands committed, of all clients",
    "commits": "Group commits: each is one write and one fdatasync",
    "compact_revision": "History up to here is forgotten; -1 before any compaction",
    "db_size_bytes": "Bytes of the live keys and the history that is kept",
    "db_size_in_use_bytes": "Of those, the bytes of the live keys",
    "keys": "Live keys",
    "latched": "1 when the store takes no more writes until the node is restarted",
    "standby": "1 while the store takes writes from its primary alone",
    "leases": "Live leases",
    "log_bytes": "Bytes written to the log",
    "log_sequence": "The log's last durable sequence number",
    "queue_length": "Commands that wait for the writer",
    "revision": "The latest durable revision",
    "storage_failures": "Checkpoints and upkeep of the log that failed",
    "term": "The term of replication",
    "watchers": "Open watchers, of all clients",
    "watchers_catching_up": "Of those, the ones that read history",
}

# Since the store was opened; all other figures may fall.
_COUNTERS = frozenset({"commands", "commits", "log_bytes", "storage_failures"})


def node_metrics(
    statistics: Statistics | None,
    node: NodeInfoSource,
    data_directory: Path,
    *,
    quota_bytes: int = 0,
) -> CollectorRegistry:
    """Return the registry of a node: what it is, what it costs, and the store's figures if any."""
    metrics = process_metrics(statistics)
    if statistics is not None and quota_bytes:
        text = "Size above which the store refuses writes"
        Gauge("decube_store_quota_bytes", text, registry=metrics).set(quota_bytes)
    metrics.register(_NodeCollector(node))
    metrics.register(HostMetrics(data_directory))
    return metrics


def process_metrics(statistics: Statistics | None) -> CollectorRegistry:
    """Return a registry with what the process costs, and the store's figures if there are any."""
    metrics = CollectorRegistry()
    ProcessCollector(registry=metrics)
    if statistics is not None:
        metrics.register(_StoreCollector(statistics))
    return metrics


class _NodeCollector(Collector):
    """What the node is, and what its log lost."""

    def __init__(self, node: NodeInfoSource) -> None:
        self._node = node

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: what there is depends on the settings."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Ask the node."""
        info = self._node.node_info()
        told = {"node_id": info.node_id, "version": info.version, "role": info.role}
        yield InfoMetricFamily("decube_node", "What the node is", value=told)
        leads = float(info.is_leader)
        yield GaugeMetricFamily("decube_is_leader", "1 while this node leads", value=leads)
        for file in log_files():
            text = "Log lines that the log file never got"
            yield CounterMetricFamily("decube_log_lines_lost", text, value=file.lines_lost)


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
                text = _MEANINGS.get(name, f"The store's {name.replace('_', ' ')}")
                family = CounterMetricFamily if name in _COUNTERS else GaugeMetricFamily
                yield family(_PREFIX + name, text, value=value)
