"""The REST and gRPC APIs on a store in memory, listening on loopback."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx2
from prometheus_client import CollectorRegistry
from tests.support.stores import embedded
from tests.support.waiting import WAIT_S_MAX

from decube.api.grpc import GrpcDependencies, GrpcOptions, GrpcServer
from decube.api.rest import RestDependencies, RestOptions, RestServer
from decube.config.settings import Settings
from decube.daemon.backend import Backend
from decube.daemon.services import services_over
from decube.daemon.snapshots import snapshots_over
from decube.kit.addresses import Address
from decube.services.node import NodeInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.api.services import Services
    from decube.store.embedded import EmbeddedStore
    from decube.store.protocol import Store

ANY_PORT = Address("127.0.0.1", 0)


class StaticNode:
    """A node whose facts do not change."""

    def __init__(self, info: NodeInfo) -> None:
        self.info = info

    def node_info(self) -> NodeInfo:
        return self.info

    def stopped(self) -> str:
        return ""

    def alarm(self) -> str:
        return ""


NODE = StaticNode(
    NodeInfo(
        node_id="node-1",
        version="0.1.0",
        is_leader=True,
        leader_addr="127.0.0.1:2379",
        address="127.0.0.1:8080",
    )
)


@dataclass(frozen=True)
class RestApi:
    """A REST server and a client of it."""

    server: RestServer
    client: httpx2.AsyncClient
    store: EmbeddedStore
    metrics: CollectorRegistry

    @property
    def address(self) -> Address:
        return self.server.address


@asynccontextmanager
async def services(store: Store, metrics: CollectorRegistry) -> AsyncIterator[Services]:
    """Make all services over a store, with a location for snapshots that goes with them."""
    with TemporaryDirectory(prefix="decube-snapshots-") as directory:
        restore = getattr(store, "restore", None)
        snapshots = snapshots_over(
            store, Backend(store, store, restore=restore), Settings(), Path(directory), metrics
        )
        try:
            yield services_over(store, metrics, snapshots)
        finally:
            await snapshots.close()


@asynccontextmanager
async def rest_api(options: RestOptions | None = None) -> AsyncIterator[RestApi]:
    """Serve REST on a store of its own."""
    async with embedded() as store, rest_server(store, options) as (server, metrics):
        base = f"http://{server.address}"
        async with httpx2.AsyncClient(base_url=base, timeout=WAIT_S_MAX) as client:
            yield RestApi(server, client, store, metrics)


@asynccontextmanager
async def rest_server(
    store: Store, options: RestOptions | None = None
) -> AsyncIterator[tuple[RestServer, CollectorRegistry]]:
    """Serve REST on a store."""
    metrics = CollectorRegistry()
    async with services(store, metrics) as all_services:
        server = RestServer(
            RestDependencies(
                services=all_services,
                node=NODE,
                options=options or RestOptions(listen=ANY_PORT),
                metrics=metrics,
            )
        )
        await server.start()
        try:
            yield server, metrics
        finally:
            await server.stop(timeout_s=2.0)


@asynccontextmanager
async def grpc_server(
    store: Store, options: GrpcOptions | None = None
) -> AsyncIterator[GrpcServer]:
    """Serve gRPC on a store."""
    async with services(store, CollectorRegistry()) as all_services:
        server = GrpcServer(
            GrpcDependencies(
                services=all_services,
                node=NODE,
                options=options or GrpcOptions(listen=ANY_PORT),
            )
        )
        await server.start()
        try:
            yield server
        finally:
            await server.stop(timeout_s=2.0)
