"""The listeners of a node: opened one by one, drained together.

Opening tells which one could not listen, where, and which key moves it. Draining lets what is under
way end within `node.shutdown_timeout` and cuts the rest.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, TypeVar

from decube.daemon.addresses import cannot_listen, check_free, resolved
from decube.daemon.certificates import core_tls, unusable
from decube.daemon.facts import url
from decube.kit.addresses import parse_address
from decube.kit.errors import Invalid, Unavailable, require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from prometheus_client import CollectorRegistry

    from decube.api.services import Services
    from decube.config.settings import Settings
    from decube.daemon.certificates import Certificates
    from decube.daemon.facts import NodeFacts
    from decube.daemon.replication import NodeReplication
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

    async def open_peers(self, store: EmbeddedStore) -> NodeReplication:
        """Take the node's role and listen for its peers, from Rust. Raises `StartFailure`."""
        from decube.daemon.replication import (  # noqa: PLC0415 - with a role only
            NodeReplication,
            replication_options,
        )

        wanted = self._settings.replication
        what = ("replication", "replication.listen_address", wanted.listen_address)
        exact = await self._free_address(what)
        core = await _opened(what, store.replicate(replication_options(self._settings, exact)))
        self._drains["replication"] = core.stop
        self._facts.peer_address = self._facts.told(parse_address(core.address))
        return NodeReplication(core, store, self._settings, self._facts)

    async def open_etcd(self, store: EmbeddedStore) -> None:
        """Serve etcd's API on the store, from Rust. Raises `StartFailure`."""
        from decube.store.embedded import EtcdListenerOptions  # noqa: PLC0415 - not on `etcd`

        etcd = self._settings.etcd
        what = ("etcd", "node.listen_address", self._settings.node.listen_address)
        exact = await self._free_address(what)
        options = EtcdListenerOptions(
            address=str(exact),
            # With port 0 there is nothing to tell yet; the core then tells where it listens.
            advertise_client_urls=(url(self._facts.told(exact)),) if exact.port else (),
            member_name=etcd.name,
            request_bytes_max=etcd.max_request_bytes,
            connections_max=etcd.max_connections,
            watch_progress_notify_interval_s=etcd.watch_progress_notify_interval.seconds,
            tls=core_tls(self._settings, "etcd"),
        )
        try:
            listener = await _opened(what, store.serve_etcd(options))
        except Invalid as error:
            if error.field != "tls":
                raise
            raise unusable(error) from error
        secured = options.tls is None or listener.tls_status() is not None
        require(secured, "plain text is not served where TLS was asked for")
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

    async def _free_address(self, what: tuple[str, str, Address]) -> Address:
        """Resolve an address for the core, and look whether it can be had.

        The core says in one error that it cannot listen; the system's own reason is clearer.
        """
        _, _, address = what
        exact = await self._listen(*what, resolved(address))
        await self._listen(*what, check_free(exact))
        return exact

    async def _listen(
        self, what: str, key: str, address: Address, starting: Awaitable[Bound]
    ) -> Bound:
        try:
            return await starting
        except OSError as error:
            raise cannot_listen(what, key, address, error) from error


async def _opened(what: tuple[str, str, Address], opening: Awaitable[Bound]) -> Bound:
    """Wait for a listener of the core; another process may take the address after our look."""
    try:
        return await opening
    except Unavailable as error:
        if error.details.get("reason") != "address_in_use":
            raise
        raise cannot_listen(*what, OSError(errno.EADDRINUSE, error.message)) from error
