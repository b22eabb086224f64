"""Which keys do nothing because of another: those of a backend, engine or API that is not used.

A table of conditions, each over whole settings; a key may fall under several, and the first tells
why. What a key alone cannot do (`no_effect`) stands with its declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from decube.config.keys import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from decube.config.settings import Settings


@dataclass(frozen=True, slots=True)
class _Unused:
    """When the keys that begin so do nothing, and why."""

    prefixes: tuple[str, ...]
    holds: Callable[[Settings], bool]
    reason: str


def _on_etcd(settings: Settings) -> bool:
    return settings.store.backend == "etcd"


_CONDITIONS: Final = (
    _Unused(
        ("node.listen_address", "etcd.", "store.engine", "store.log_retention"),
        _on_etcd,
        "only the backend embedded has it: an etcd cluster has its own flags",
    ),
    _Unused(
        (
            "store.endpoints",
            "store.ca_file",
            "store.cert_file",
            "store.key_file",
            "store.username",
            "store.password",
            "store.connect_timeout",
            "store.request_timeout",
            "store.leader_ttl",
        ),
        lambda settings: not _on_etcd(settings),
        "only the backend etcd has it",
    ),
    _Unused(
        (
            "etcd.data_dir",
            "etcd.wal_dir",
            "etcd.snapshot_count",
            "etcd.max_snapshots",
            "etcd.max_wals",
            "store.log_retention",
        ),
        lambda settings: settings.store.engine == "memory",
        "the engine memory keeps no files",
    ),
    _Unused(
        ("logging.max_",),
        lambda settings: settings.logging.output in ("stdout", "stderr"),
        "logging.output names no file, and only a file is rotated",
    ),
    _Unused(
        ("api.rest.address", "api.rest.cors", "api.rest.allowed", "api.rest.max", "api.rest.time"),
        lambda settings: not settings.api.rest.enabled,
        "api.rest.enabled is false",
    ),
    _Unused(
        ("api.grpc.address", "api.grpc.max"),
        lambda settings: not settings.api.grpc.enabled,
        "api.grpc.enabled is false",
    ),
    _Unused(
        ("snapshot.interval", "snapshot.retention_count"),
        lambda settings: not settings.snapshot.enabled,
        "snapshot.enabled is false: none are taken by time",
    ),
)


def without_effect(settings: Settings) -> Mapping[str, str]:
    """Return the keys that do nothing beside the others, each with the reason."""
    found: dict[str, str] = {}
    for condition in _CONDITIONS:
        if condition.holds(settings):
            for path in keys():
                if path.startswith(condition.prefixes):
                    found.setdefault(path, condition.reason)
    return found
