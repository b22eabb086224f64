"""What the settings of replication mean together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from decube.config.listener_tls import tls_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from decube.config.settings import Settings

_KEYS: Final = (
    "node.peer_addresses",
    "replication.enabled",
    "replication.listen_address",
    "replication.token",
    "replication.peer_timeout",
    "replication.retry_interval",
    "replication.max_retries",
)


def replicates(settings: Settings) -> bool:
    """Tell whether the node has a part in replication."""
    return settings.replication.enabled and settings.replication.role != "none"


def without_effect(settings: Settings) -> Mapping[str, str]:
    """Return the keys that do nothing beside the others, each with the reason."""
    if replicates(settings):
        return {}
    if settings.replication.role == "none":
        return dict.fromkeys(_KEYS, "replication.role is none: nothing replicates")
    others = (key for key in (*_KEYS, "replication.role") if key != "replication.enabled")
    return dict.fromkeys(others, "replication.enabled is false: nothing replicates")


def contradictions(settings: Settings) -> list[str]:
    """Tell what is missing for a role, or does not go with it, by key."""
    if not replicates(settings):
        return []
    role, store = settings.replication.role, settings.store
    problems = []
    if store.backend == "etcd":
        problems.append(
            f"replication.role: {role} goes with store.backend embedded only; "
            "etcd replicates by itself"
        )
    elif store.engine == "memory":
        problems.append(f"replication.role: {role} needs the log: set store.engine to log")
    if role == "standby" and not settings.node.peer_addresses:
        problems.append(
            "node.peer_addresses: a standby needs the replication address of its primary"
        )
    tls = tls_of(settings, "peer")
    if not settings.replication.token and (tls is None or tls.client_auth != "require"):
        problems.append(
            "replication.token: peers must prove themselves: set the same token on all of them, "
            "or TLS with client certificates required (security.listeners.peer)"
        )
    return problems
