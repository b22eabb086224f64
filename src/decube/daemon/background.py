"""What a node runs beside its listeners: tasks that look at the store and act, until cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decube.daemon.service_manager import keep_alive, watchdog_interval_s

if TYPE_CHECKING:
    import asyncio

    from prometheus_client import CollectorRegistry

    from decube.config.settings import Settings
    from decube.daemon.backend import Backend
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
    backend: Backend


def start_background(
    surroundings: Surroundings, tasks: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    """Start them all; cancelling one ends it in good order."""
    started = _start_watchdog(tasks)
    started += _start_certificate_watch(surroundings, tasks)
    started.append(_start_catalogue(surroundings, tasks))
    started.append(_start_snapshots(surroundings, tasks))
    if surroundings.settings.store.backend == "etcd":
        return [*started, _start_leadership(surroundings, tasks)]
    # A shared etcd compacts itself as its own flags say.
    started += _start_compaction(surroundings, tasks)
    replication = surroundings.backend.replication
    if replication is not None:
        started.append(tasks.create_task(replication.run(), name="replication"))
    return [*started, *_start_troubles(surroundings, tasks)]


def _start_watchdog(tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    interval_s = watchdog_interval_s()
    return [tasks.create_task(keep_alive(interval_s), name="watchdog")] if interval_s else []


def _start_troubles(
    surroundings: Surroundings, tasks: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    troubles = surroundings.backend.troubles
    if troubles is None:
        return []
    from decube.daemon.store_troubles import tell_troubles  # noqa: PLC0415 - embedded stores

    alarm = surroundings.facts.alarm
    return [tasks.create_task(tell_troubles(troubles, alarm), name="troubles")]


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

    settings, backend = surroundings.settings, surroundings.backend
    retention_s = settings.etcd.auto_compaction_retention.seconds
    if not retention_s:
        return []
    # Each node's own: a standby's refuses, and gets its primary's compactions from the log.
    compaction = HistoryCompaction(backend.own, retention_s, metrics=surroundings.metrics)
    return [tasks.create_task(compaction.run(), name="compaction")]
