"""The listeners of a node: opened one by one, drained together.

Opening tells which one could not listen, where, and which key moves it. Draining lets what is under
way end within `node.shutdown_timeout` and cuts the rest.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, TypeVar

from decube.daemon.addresses import cannot_listen, check_free, resolved
from decube.daemon.exits import ExitCode, StartFailure
from decube.kit.addresses import parse_address
from decube.kit.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from prometheus_client import CollectorRegistry

    from decube.api.services import Services
    from decube.config.settings import Settings
    from decube.daemon.certificates import Certificates
    from decube.daemon.facts import NodeFacts
    from decube.kit.addresses import Address
    from decube.store.embedded import EmbeddedStore

    Drain = Callable[[float], Coroutine[Any, Any, None]]


Bound = TypeVar("Bound")


class Listeners:
    """What is open. Used on one event loop."""

    def __init__(self, settings: Settings, facts: NodeFacts, certificates: Certificates) -> None:
        self._settings = settings
        self._facts = facts
        self._certificates = certificates
        self._drains: dict[str, Drain] = {}

    async def open_etcd(self, store: EmbeddedStore) -> None:
        """Serve etcd's API on the store, from Rust. Raises `StartFailure`."""
        from decube.store.embedded import EtcdListenerOptions  # noqa: PLC0415 - not on `etcd`

        if self._certificates.of("etcd") is not None:
            raise StartFailure(
                "the etcd API does not speak TLS yet, and plain text is not served in its place",
                ExitCode.CANNOT_LISTEN,
                hint="set security.tls_enabled to false",
            )
        etcd, address = self._settings.etcd, self._settings.node.listen_address
        what = ("etcd", "node.listen_address", address)
        exact = await self._listen(*what, resolved(address))
        # The core says in one error that it cannot listen; the system's own reason is clearer.
        await self._listen(*what, check_free(exact))
        options = EtcdListenerOptions(
            address=str(exact),
            # With port 0 there is nothing to tell yet; the core then tells where it listens.
            advertise_client_urls=(f"http://{self._facts.told(exact)}",) if exact.port else (),
            member_name=etcd.name,
            request_bytes_max=etcd.max_request_bytes,
            connections_max=etcd.max_connections,
            watch_progress_notify_interval_s=etcd.watch_progress_notify_interval.seconds,
        )
        try:
            listener = await store.serve_etcd(options)
        except Unavailable as error:
            if error.details.get("reason") != "address_in_use":
                raise
            taken = OSError(errno.EADDRINUSE, error.message)  # between our look and its bind
            raise cannot_listen(*what, taken) from error
        self._facts.etcd_address = self._facts.told(parse_address(listener.address))
        self._drains["etcd"] = listener.stop

    async def open_rest(self, services: Services, metrics: CollectorRegistry) -> None:
        """Serve REST. Raises `StartFailure`."""
        from decube.api.rest import (  # noqa: PLC0415 - after the etcd port is up
            RestDependencies,
            RestOptions,
            RestServer,
        )

        rest = self._settings.api.rest
        options = RestOptions(
            listen=rest.address,
            cors_origins=rest.cors_origins,
            allowed_hosts=rest.allowed_hosts,
            body_bytes_max=rest.max_body_bytes,
            connections_max=rest.max_connections,
            timeout_s=rest.timeout.seconds,
            identity=self._certificates.of("rest"),
            handshake_timeout_s=self._settings.security.handshake_timeout.seconds,
        )
        server = RestServer(
            RestDependencies(services=services, node=self._facts, options=options, metrics=metrics)
        )
        bound = await self._listen("REST", "api.rest.address", rest.address, server.start())
        self._facts.rest_address = self._facts.told(bound)
        self._drains["rest"] = server.stop

    async def open_grpc(self, services: Services, metrics: CollectorRegistry) -> None:
        """Serve gRPC. Raises `StartFailure`."""
        from decube.api.grpc import (  # noqa: PLC0415 - after the etcd port is up
            GrpcDependencies,
            GrpcOptions,
            GrpcServer,
        )

        grpc = self._settings.api.grpc
        options = GrpcOptions(
            listen=grpc.address,
            message_bytes_max=grpc.max_message_bytes,
            identity=self._certificates.of("grpc"),
            handshake_timeout_s=self._settings.security.handshake_timeout.seconds,
        )
        server = GrpcServer(
            GrpcDependencies(services=services, node=self._facts, options=options, metrics=metrics)
        )
        what = ("gRPC", "api.grpc.address", grpc.address)
        bound = await self._listen(*what, server.start())
        self._facts.grpc_address = self._facts.told(bound)
        self._drains["grpc"] = server.stop

    async def drain(self) -> None:
        """Close all of them, letting what is under way end. Draining again is fine."""
        drains, self._drains = self._drains, {}
        timeout_s = self._settings.node.shutdown_timeout.seconds
        async with asyncio.TaskGroup() as tasks:
            for name, drain in drains.items():
                tasks.create_task(drain(timeout_s), name=f"drain-{name}")

    async def _listen(
        self, what: str, key: str, address: Address, starting: Awaitable[Bound]
    ) -> Bound:
        try:
            return await starting
        except OSError as error:
            raise cannot_listen(what, key, address, error) from error
