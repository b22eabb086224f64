"""Makes the snapshot service, and the task that takes snapshots by time, from the settings."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from decube.kit.errors import Invalid
from decube.kit.version import product_version
from decube.services.snapshots import (
    Catalogue,
    SnapshotDependencies,
    SnapshotOptions,
    SnapshotService,
)
from decube.services.snapshots.chunks import ChunkForm
from decube.services.snapshots.dependencies import any_role
from decube.services.snapshots.encryption import Identities, Recipients
from decube.services.snapshots.location import open_location
from decube.services.snapshots.metrics import SnapshotMetrics
from decube.services.snapshots.schedule import SchedulePlan, SnapshotSchedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

    from decube.config.settings import Settings, SnapshotSettings
    from decube.daemon.backend import Backend
    from decube.daemon.facts import NodeFacts
    from decube.services.snapshots.location import Location
    from decube.store.protocol import Store


def snapshots_over(
    store: Store,
    backend: Backend,
    settings: Settings,
    data_directory: Path,
    metrics: CollectorRegistry,
) -> SnapshotService:
    """Make the service of a store, which is over the backend's.

    Raises `Invalid` for a location or a key that cannot be.
    """
    wanted = settings.snapshot
    location, recipients = checked(wanted, data_directory)
    return SnapshotService(
        SnapshotDependencies(
            source=store,
            catalogue=Catalogue(location),
            restore=backend.restore,
            check_role=backend.replication.check_restores if backend.replication else any_role,
            metrics=SnapshotMetrics(metrics),
        ),
        SnapshotOptions(
            form=ChunkForm(
                "zstd" if wanted.compression else "none",
                recipients,
            ),
            identity_file=wanted.encryption.identity_file,
            tool_version=product_version(),
        ),
    )


def checked(wanted: SnapshotSettings, data_directory: Path) -> tuple[Location, Recipients | None]:
    """Return where snapshots are kept and whom they are sealed for, None for nobody.

    Raises `Invalid`, which names the setting that cannot be. Nothing is asked of the location.
    """
    if wanted.encryption.identity_file:
        # It is read again when it is needed; that it cannot be is better known now.
        with _named("snapshot.encryption.identity_file"):
            Identities.load(Path(wanted.encryption.identity_file))
    with _named("snapshot.location"):
        # Snapshots lie in `snapshots` below a location.
        location = open_location(wanted.location or str(data_directory), os.environ)
    if not wanted.encryption.recipients:
        return location, None
    with _named("snapshot.encryption.recipients"):
        return location, Recipients.parse(wanted.encryption.recipients)


def schedule_of(
    service: SnapshotService, store: Store, settings: Settings, facts: NodeFacts
) -> SnapshotSchedule:
    """Make the task that takes snapshots by time while this node leads."""
    wanted = settings.snapshot
    plan = SchedulePlan(
        interval_s=wanted.interval.seconds if wanted.enabled else None,
        retention_count=wanted.retention_count,
        # The data directory is locked by this process.
        exclusive=not wanted.location,
    )
    return SnapshotSchedule(service, store, plan, lambda: facts.leadership.is_leader)


@contextmanager
def _named(setting: str) -> Iterator[None]:
    """Say which setting it was that cannot be."""
    try:
        yield
    except Invalid as error:
        refused = Invalid(f"{setting}: {error.message}", field=setting)
        refused.details = {**error.details, "field": setting}
        raise refused from error
