"""Makes the application's services over the node's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.api.services import Services
from decube.registry.unreadable import UnreadableRows
from decube.services.leases import LeaseService
from decube.services.pods import PodService
from decube.services.replication import ReplicationService

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from decube.services.replication import Replicator
    from decube.services.snapshots import SnapshotService
    from decube.store.protocol import Store


def services_over(
    store: Store,
    metrics: CollectorRegistry,
    snapshots: SnapshotService,
    replicator: Replicator | None = None,
) -> Services:
    """Return one of each; `snapshots` are made from more than the store."""
    unreadable = UnreadableRows(metrics)
    return Services(
        pods=PodService(store, unreadable),
        leases=LeaseService(store, unreadable),
        snapshots=snapshots,
        replication=ReplicationService(store, replicator),
    )
