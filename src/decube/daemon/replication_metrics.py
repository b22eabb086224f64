"""The metrics of replication, read when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from decube.daemon.replication import NodeReplication


class ReplicationMetrics(Collector):
    """Of this node, and of each peer by its address: those are the settings', so they are few."""

    def __init__(self, replication: NodeReplication) -> None:
        self._replication = replication

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: peers come and go."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Ask how replication stands."""
        state = self._replication.state()
        text = "How old the oldest revision is that this node lacks; 0 for a primary"
        yield GaugeMetricFamily("decube_replication_lag_seconds", text, value=state.lag_seconds)
        text = "The term of replication, raised by each promotion"
        yield GaugeMetricFamily("decube_replication_term", text, value=state.term)
        text = "1 while this node is the primary"
        primary = float(state.role == "primary")
        yield GaugeMetricFamily("decube_replication_is_primary", text, value=primary)
        text = "Files of writes that were never replicated"
        yield GaugeMetricFamily("decube_replication_tails", text, value=len(state.tails))
        connected = _by_peer("connected", "1 while the peer is connected")
        text = "How old the oldest revision is that the peer lacks; of one that is away, at most"
        lag = _by_peer("lag_seconds", text)
        revision = _by_peer("revision", "The revision that the peer has")
        for peer in state.peers:
            connected.add_metric((peer.address,), float(peer.connected))
            if peer.last_heartbeat:  # else neither is known
                lag.add_metric((peer.address,), peer.lag_seconds)
                revision.add_metric((peer.address,), peer.revision)
        yield from (connected, lag, revision)


def _by_peer(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"decube_replication_peer_{name}", text, labels=("peer",))
