"""One node: what it is made of, in which order it starts, and how it stops.

Order: the store and the etcd port first, from Rust; then REST, then gRPC, whose stacks cost about a
second to import, in a thread; then it is ready. Stopping: the background tasks end while the
listeners drain together, then the store closes, which makes durable whatever it acknowledged long
before. A background task that fails stops the node the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from decube.daemon.backend import open_backend
from decube.daemon.background import Surroundings, start_background
from decube.daemon.certificates import read_certificates
from decube.daemon.facts import NodeFacts
from decube.daemon.listeners import Listeners
from decube.daemon.service_manager import notify
from decube.kit.clock import SystemClock
from decube.kit.imports import absent

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from decube.api.services import Services
    from decube.config.load import Loaded
    from decube.config.settings import Settings
    from decube.daemon.backend import Backend
    from decube.daemon.data_directory import DataDirectory
    from decube.services.snapshots import SnapshotService
    from decube.store.protocol import Store

_SMALL_STORE_S = 0.25
_DAY_S = 24 * 60 * 60


async def run_node(
    loaded: Loaded, directory: DataDirectory, ready: asyncio.Event, stop: asyncio.Event
) -> None:
    """Run a node until `stop`; sets `ready` when all listens.

    Raises `StartFailure` and other `DecubeError`s, and what a background task failed with as an
    exception group.
    """
    settings = loaded.settings
    facts = NodeFacts(settings)
    certificates = read_certificates(settings, SystemClock().now())
    _check_snapshots(settings, directory.path)
    async with AsyncExitStack() as resources:
        listeners = Listeners(settings, facts, certificates)
        opened = asyncio.Event()
        importing = asyncio.create_task(_import_rest_after(opened), name="import-rest")
        resources.callback(importing.cancel)
        backend = await open_backend(directory, listeners, facts, resources)
        opened.set()
        await importing
        _configure_logs(settings, backend)
        async with asyncio.TaskGroup() as tasks:
            metrics = _metrics(settings, backend, facts, directory.path)
            store = _metered(backend.store, metrics)
            snapshots = _snapshots(settings, directory.path, backend, store, metrics)
            resources.push_async_callback(snapshots.close)
            await _open_apis(
                settings, listeners, _services(store, metrics, snapshots, backend), metrics
            )
            surroundings = Surroundings(
                settings, facts, store, metrics, certificates, snapshots, backend
            )
            background = start_background(surroundings, tasks)
            await _tell(loaded, directory, facts, backend)
            ready.set()
            await stop.wait()
            _tell_stopping()
            # First, so that another node leads while this one drains.
            for task in background:
                task.cancel()
            # What waits for a snapshot is told at once that it will not come.
            await asyncio.gather(snapshots.close(), listeners.drain())


def _check_snapshots(settings: Settings, data_directory: Path) -> None:
    """Refuse a location or a key that cannot be before a client is served and then left alone."""
    if not settings.snapshot.has_location_or_keys:
        return  # what would be imported is not waited for by the etcd port
    _import_structlog()
    from decube.daemon.snapshots import checked  # noqa: PLC0415 - only where there is something

    checked(settings.snapshot, data_directory)


def _metrics(
    settings: Settings, backend: Backend, facts: NodeFacts, data_directory: Path
) -> CollectorRegistry:
    from decube.daemon.metrics import node_metrics  # noqa: PLC0415 - imported by the thread

    quota_bytes = settings.etcd.quota_backend_bytes
    metrics = node_metrics(backend.statistics, facts, data_directory, quota_bytes=quota_bytes)
    if backend.replication is not None:
        from decube.daemon.replication_metrics import ReplicationMetrics  # noqa: PLC0415 - a role

        metrics.register(ReplicationMetrics(backend.replication))
    return metrics


def _metered(store: Store, metrics: CollectorRegistry) -> Store:
    from decube.store.metered import MeteredStore  # noqa: PLC0415 - imported by the thread

    return MeteredStore(store, metrics)


def _snapshots(
    settings: Settings,
    data_directory: Path,
    backend: Backend,
    store: Store,
    metrics: CollectorRegistry,
) -> SnapshotService:
    from decube.daemon.snapshots import snapshots_over  # noqa: PLC0415 - imported by the thread

    return snapshots_over(store, backend, settings, data_directory, metrics)


def _services(
    store: Store, metrics: CollectorRegistry, snapshots: SnapshotService, backend: Backend
) -> Services:
    from decube.daemon.services import services_over  # noqa: PLC0415 - imported by the thread

    return services_over(store, metrics, snapshots, backend.replication)


async def _open_apis(
    settings: Settings, listeners: Listeners, services: Services, metrics: CollectorRegistry
) -> None:
    """Serve the APIs on the services. REST does not wait for gRPC's imports."""
    if settings.api.rest.enabled:
        await listeners.open_rest(services, metrics)
    if settings.api.grpc.enabled:
        await asyncio.to_thread(importlib.import_module, "decube.api.grpc")
        await listeners.open_grpc(services, metrics)


async def _import_rest_after(opened: asyncio.Event) -> None:
    """Import in a thread, but let the store have the interpreter first.

    A small store is open at once, and importing would only be in its way; a large one recovers for
    a while, without the interpreter.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SMALL_STORE_S):
            await opened.wait()
    await asyncio.to_thread(_import_rest)


def _import_structlog() -> None:
    # It would draw tracebacks with rich; as long as that takes to import, REST could serve.
    with absent("rich"):
        importlib.import_module("structlog")


def _import_rest() -> None:
    _import_structlog()
    for module in (
        "kit.logging",
        "daemon.announce",
        "daemon.metrics",
        "daemon.services",
        "daemon.snapshots",
        "api.rest",
    ):
        importlib.import_module(f"decube.{module}")


def _configure_logs(settings: Settings, backend: Backend) -> None:
    from decube.kit import logging  # noqa: PLC0415 - imported by the thread
    from decube.kit.log_file import Rotation  # noqa: PLC0415

    wanted = settings.logging
    rotation = Rotation(
        max_size_bytes=wanted.max_size << 20,
        backups_max=wanted.max_backups,
        age_s_max=wanted.max_age * _DAY_S,
    )
    logging.configure(
        level=wanted.level, form=wanted.format, output=wanted.output, rotation=rotation
    )
    if backend.logs is not None:
        backend.logs.connect()


def _tell_stopping() -> None:
    from decube.daemon.announce import tell_stopping  # noqa: PLC0415 - imported by the thread

    tell_stopping()


async def _tell(
    loaded: Loaded, directory: DataDirectory, facts: NodeFacts, backend: Backend
) -> None:
    """Let people, programs and the service manager know that the node is ready."""
    from decube.daemon.announce import tell_ready, warn_about  # noqa: PLC0415 - by the thread

    warn_about(loaded, was_primary=backend.was_primary)
    info = facts.node_info()
    directory.publish(
        {
            "pid": os.getpid(),
            "node_id": info.node_id,
            "version": info.version,
            "rest_address": info.address,
            "grpc_address": info.grpc_address,
            "etcd_address": info.etcd_address,
        }
    )
    # All modules and routes live as long as the process: let collections leave them alone.
    gc.collect()
    gc.freeze()
    gc.enable()
    tell_ready(info, loaded.settings, directory.path, (await backend.store.status()).backend)
    notify(f"READY=1\nMAINPID={os.getpid()}")
