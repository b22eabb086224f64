"""The metrics of snapshots, under the original's names where it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from decube.services.snapshots.manifest import Manifest

_BUCKETS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


class SnapshotMetrics:
    """What is counted. Every label has a bounded set of values."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._attempts = Counter(
            "decube_snapshots",
            "Snapshots that were tried, by result",
            ["result"],
            registry=registry,
        )
        for result in ("completed", "failed", "skipped"):
            self._attempts.labels(result)
        self._created = Counter(
            "decube_snapshot_created", "Snapshots that were completed", registry=registry
        )
        self._size = Gauge(
            "decube_snapshot_size_bytes",
            "Plain size of the newest snapshot this node completed",
            registry=registry,
        )
        self._stored = Gauge(
            "decube_snapshot_stored_bytes", "Its size as it is stored", registry=registry
        )
        self._all = Gauge(
            "decube_snapshots_size_bytes",
            "What all snapshots in the location take, when it was last looked at",
            registry=registry,
        )
        self._succeeded_at = Gauge(
            "decube_snapshot_last_success_timestamp_seconds",
            "When this node last completed a snapshot; 0: never",
            registry=registry,
        )
        self._duration = Histogram(
            "decube_snapshot_duration_seconds",
            "Time that completed snapshots took",
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._restores = Counter(
            "decube_snapshot_restores",
            "Restores in place, by result",
            ["result"],
            registry=registry,
        )
        for result in ("completed", "failed"):
            self._restores.labels(result)

    def completed(self, manifest: Manifest, wall_s: float, duration_s: float) -> None:
        """Count a snapshot that is there."""
        self._attempts.labels("completed").inc()
        self._created.inc()
        self._size.set(manifest.size_bytes)
        self._stored.set(manifest.stored_bytes)
        self._succeeded_at.set(wall_s)
        self._duration.observe(duration_s)

    def listed(self, manifests: Sequence[Manifest]) -> None:
        """Note what there is in the location."""
        self._all.set(sum(manifest.stored_bytes for manifest in manifests))

    def failed(self) -> None:
        """Count one that failed."""
        self._attempts.labels("failed").inc()

    def skipped(self) -> None:
        """Count an automatic one that was not needed."""
        self._attempts.labels("skipped").inc()

    def restored(self, result: str) -> None:
        """Count a restore: `completed` or `failed`."""
        self._restores.labels(result).inc()
