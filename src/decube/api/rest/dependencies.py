"""What the REST API is given by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from decube.kit.clock import SystemClock
from decube.kit.ids import RandomIds

if TYPE_CHECKING:
    from decube.api.identity import Identity
    from decube.api.services import Services
    from decube.kit.addresses import Address
    from decube.kit.clock import Clock
    from decube.kit.ids import Ids
    from decube.services.node import NodeInfoSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RestOptions:
    """How to listen, and the bounds.

    `timeout_s` bounds reading one request and a client's not taking any more of an answer; it never
    ends a watch that is read. `allowed_hosts` are accepted in `Host` beside the listener's own.
    With an `identity` it speaks TLS; a handshake has `handshake_timeout_s`.
    """

    listen: Address
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    body_bytes_max: int = 1024 * 1024
    header_bytes_max: int = 32 * 1024
    connections_max: int = 1024
    timeout_s: float = 15.0
    keep_alive_s: float = 75.0
    bookmark_interval_s: float = 30.0
    identity: Identity | None = None
    handshake_timeout_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestDependencies:
    """The services behind the routes, and where metrics are kept and shown."""

    services: Services
    node: NodeInfoSource
    options: RestOptions
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=RandomIds)
