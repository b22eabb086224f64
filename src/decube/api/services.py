"""The application's services, as both transports are given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decube.services.leases import LeaseService
    from decube.services.pods import PodService
    from decube.services.replication import ReplicationService
    from decube.services.snapshots import SnapshotService


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One of each."""

    pods: PodService
    leases: LeaseService
    snapshots: SnapshotService
    replication: ReplicationService
