"""Runs the gRPC API: binds, serves, and drains."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from decube.api.grpc.health import ServingHealth
from decube.api.grpc.leases import LeaseCalls
from decube.api.grpc.metrics import GrpcMetrics
from decube.api.grpc.pods import PodCalls
from decube.api.grpc.replication import ReplicationCalls
from decube.api.grpc.service import SERVICE_NAME, service_handler
from decube.api.grpc.snapshots import SnapshotCalls
from decube.api.grpc.tls import server_credentials
from decube.api.listening import listen_on
from decube.kit.addresses import Address

if TYPE_CHECKING:
    from decube.api.grpc.dependencies import GrpcDependencies, GrpcOptions

_MS = 1000


class GrpcServer:
    """The gRPC listener. `start`, then `stop` once; both on the same event loop."""

    def __init__(self, dependencies: GrpcDependencies) -> None:
        self._options = dependencies.options
        self._address = dependencies.options.listen
        self._handler = service_handler(
            GrpcMetrics(dependencies.metrics),
            PodCalls(dependencies.services.pods),
            LeaseCalls(dependencies.services.leases),
            SnapshotCalls(dependencies.services.snapshots),
            ReplicationCalls(dependencies.services.replication, dependencies.node),
        )
        self._health = ServingHealth(dependencies.node, (health.OVERALL_HEALTH, SERVICE_NAME))
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> Address:
        """Where it listens; the port is the real one once started."""
        return self._address

    async def start(self) -> Address:
        """Listen and serve. Raises `OSError` when the address cannot be had."""
        server = grpc.aio.server(
            options=_channel_options(self._options), maximum_concurrent_rpcs=self._options.calls_max
        )
        server.add_generic_rpc_handlers((self._handler,))
        self._health.add_to(server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        self._address = Address(self._address.host, self._bind(server))
        await server.start()
        await self._health.start()
        self._server = server
        return self._address

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Drain for at most `timeout_s`, then cut. Stopping what is not started is fine."""
        if self._server is None:
            return
        await self._health.stop()
        await self._server.stop(grace=timeout_s)
        self._server = None

    def _bind(self, server: grpc.aio.Server) -> int:
        if self._address.port:
            # gRPC's own error says only that it failed.
            listen_on(self._address).close()
        target = str(self._address)
        identity = self._options.identity
        try:
            if identity is not None:
                return server.add_secure_port(target, server_credentials(identity))
            return server.add_insecure_port(target)
        except RuntimeError as error:
            raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {target}") from error


def _channel_options(options: GrpcOptions) -> list[tuple[str, int]]:
    return [
        # Without this two processes can listen on one port, and each gets some of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", options.message_bytes_max),
        ("grpc.max_concurrent_streams", options.streams_per_connection_max),
        ("grpc.server_handshake_timeout_ms", round(options.handshake_timeout_s * _MS)),
        ("grpc.keepalive_time_ms", round(options.keep_alive_interval_s * _MS)),
        ("grpc.keepalive_timeout_ms", round(options.keep_alive_timeout_s * _MS)),
        ("grpc.keepalive_permit_without_calls", 1),
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            round(options.ping_interval_s_min * _MS),
        ),
    ]
