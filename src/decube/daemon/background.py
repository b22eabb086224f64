"""What a node runs beside its listeners: tasks that look at the store and act, until cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio

    from prometheus_client import CollectorRegistry

    from decube.config.settings import Settings
    from decube.daemon.certificates import Certificates
    from decube.daemon.facts import NodeFacts
    from decube.services.snapshots import SnapshotService
    from decube.store.protocol import Store


class Surroundings(NamedTuple):
    """What the tasks are given."""

    settings: Settings
    facts: NodeFacts
    store: Store
    metrics: CollectorRegistry
    certificates: Certificates
    snapshots: SnapshotService


def start_background(
    surroundings: Surroundings, tasks: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    """Start them all; cancelling one ends it in good order."""
    started = _start_certificate_watch(surroundings, tasks)
    started.append(_start_catalogue(surroundings, tasks))
    started.append(_start_snapshots(surroundings, tasks))
    if surroundings.settings.store.backend == "etcd":
        return [*started, _start_leadership(surroundings, tasks)]
    # A shared etcd compacts itself as its own flags say.
    return [*started, *_start_compaction(surroundings, tasks)]


def _start_catalogue(surroundings: Surroundings, tasks: asyncio.TaskGroup) -> asyncio.Task[None]:
    from decube.services.catalogue import CatalogueCounts  # noqa: PLC0415 - by the thread
    from decube.services.leases.service import LEASES  # noqa: PLC0415
    from decube.services.pods.service import PODS  # noqa: PLC0415

    resources = {kind.resource: kind.scope() for kind in (PODS, LEASES)}
    counts = CatalogueCounts(surroundings.store, resources, metrics=surroundings.metrics)
    return tasks.create_task(counts.run(), name="catalogue")


def _start_snapshots(surroundings: Surroundings, tasks: asyncio.TaskGroup) -> asyncio.Task[None]:
    from decube.daemon.snapshots import schedule_of  # noqa: PLC0415 - imported by the thread

    settings, facts, store, *_ = surroundings
    schedule = schedule_of(surroundings.snapshots, store, settings, facts)
    return tasks.create_task(schedule.run(), name="snapshots")


def _start_certificate_watch(
    surroundings: Surroundings, tasks: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    identities = surroundings.certificates.identities
    if not identities:
        return []
    from decube.daemon.certificate_watch import CertificateWatch  # noqa: PLC0415 - TLS only

    interval_s = surroundings.settings.security.reload_interval.seconds
    watch = CertificateWatch(identities, interval_s, surroundings.metrics)
    return [tasks.create_task(watch.run(), name="certificates")]


def _start_leadership(surroundings: Surroundings, tasks: asyncio.TaskGroup) -> asyncio.Task[None]:
    from decube.services.leadership import Candidate, Leadership  # noqa: PLC0415 - shared stores

    settings, facts, store, *_ = surroundings
    leadership = Leadership(
        store,
        Candidate(settings.node.id, facts.rest_address),
        ttl_s=settings.store.leader_ttl.seconds,
    )
    facts.leadership = leadership
    return tasks.create_task(leadership.run(), name="leadership")


def _start_compaction(
    surroundings: Surroundings, tasks: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    from decube.services.compaction import HistoryCompaction  # noqa: PLC0415 - embedded stores

    settings, _, store, metrics, *_ = surroundings
    retention_s = settings.etcd.auto_compaction_retention.seconds
    if not retention_s:
        return []
    compaction = HistoryCompaction(store, retention_s, metrics=metrics)
    return [tasks.create_task(compaction.run(), name="compaction")]
