"""What the gRPC API is given by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

if TYPE_CHECKING:
    from decube.api.identity import Identity
    from decube.api.services import Services
    from decube.kit.addresses import Address
    from decube.services.node import NodeInfoSource


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcOptions:
    """How to listen, and the bounds.

    A client that pings more often than `ping_interval_s_min` is told to go away; one that answers
    no ping of ours within `keep_alive_timeout_s` is cut off.
    """

    listen: Address
    message_bytes_max: int = 1024 * 1024
    calls_max: int = 4096
    streams_per_connection_max: int = 1024
    keep_alive_interval_s: float = 60.0
    keep_alive_timeout_s: float = 20.0
    ping_interval_s_min: float = 10.0
    identity: Identity | None = None
    handshake_timeout_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcDependencies:
    """The services behind the calls, and where metrics are kept."""

    services: Services
    node: NodeInfoSource
    options: GrpcOptions
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
