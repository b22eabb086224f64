"""The node's store, and what comes with one that is in this process.

Opened in this order, so that nobody writes before it is known who may: the store, the node's part
in replication, the etcd port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decube.config.replication import replicates
from decube.daemon.store import open_embedded, open_remote
from decube.kit.errors import Invalid

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from decube.daemon.core_logs import CoreLogRelay
    from decube.daemon.data_directory import DataDirectory
    from decube.daemon.facts import NodeFacts
    from decube.daemon.listeners import Listeners
    from decube.daemon.metrics import Statistics
    from decube.daemon.replication import NodeReplication
    from decube.daemon.store_troubles import Troubles
    from decube.services.snapshots.ports import Restore
    from decube.store.embedded import EmbeddedStore
    from decube.store.protocol import Store


class Backend(NamedTuple):
    """`store` is for the application: on a standby it forwards what only the primary can do.

    `own` is what this node has by itself. The rest is there if that is in this process.
    """

    store: Store
    own: Store
    statistics: Statistics | None = None
    logs: CoreLogRelay | None = None
    restore: Restore | None = None
    troubles: Troubles | None = None
    was_primary: bool = False
    replication: NodeReplication | None = None


async def open_backend(
    directory: DataDirectory, listeners: Listeners, facts: NodeFacts, resources: AsyncExitStack
) -> Backend:
    """Open the store, and the ports of the core on it if it is ours."""
    settings = facts.settings
    if settings.store.backend == "etcd":
        remote = await open_remote(settings)
        resources.push_async_callback(remote.close)
        resources.push_async_callback(listeners.drain)
        return Backend(remote, remote)
    from decube.daemon.core_logs import CoreLogRelay  # noqa: PLC0415 - not on the etcd backend
    from decube.daemon.health import StoreHealth  # noqa: PLC0415

    logs = CoreLogRelay(settings.logging.level)
    resources.callback(logs.close)
    embedded = await open_embedded(settings, directory.path)
    resources.push_async_callback(embedded.close)
    facts.health = StoreHealth(embedded)
    replication = None
    if not replicates(settings):
        _require_no_part(embedded)
    else:
        replication = await _replicate(embedded, listeners, facts)
        resources.push_async_callback(replication.store.close)
    resources.push_async_callback(listeners.drain)
    await listeners.open_etcd(embedded)
    return Backend(
        store=replication.store if replication else embedded,
        own=embedded,
        statistics=embedded.statistics,
        logs=logs,
        restore=replication.restore if replication else embedded.restore,
        troubles=embedded.troubles,
        was_primary=replication is None and embedded.is_primary(),
        replication=replication,
    )


def _require_no_part(store: EmbeddedStore) -> None:
    """Refuse to serve a standby's store without its role: it would take no writes from anybody."""
    if store.statistics()["standby"]:
        raise Invalid(
            "the data directory is a standby's, which takes no writes: start it with"
            " replication.role standby, and with `decube replication promote` it takes them",
            field="replication.role",
        )


async def _replicate(
    store: EmbeddedStore, listeners: Listeners, facts: NodeFacts
) -> NodeReplication:
    replication = await listeners.open_peers(store)
    await replication.find_role()
    facts.leadership = facts.replication = replication
    return replication
