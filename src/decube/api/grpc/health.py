"""The standard health service: NOT_SERVING once the store takes no more writes, and at the end.

Alarms do not count, as in etcd: what balances load by this service would take away the reads and
deletes that go on while NOSPACE is raised.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from decube.kit.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from decube.kit.clock import Clock
    from decube.services.node import NodeInfoSource

LOOK_INTERVAL_S: Final = 1.0
_SYSTEM_CLOCK: Final = SystemClock()
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class ServingHealth:
    """Looks at the node every second; who watches is told of changes."""

    def __init__(
        self, node: NodeInfoSource, services: Sequence[str], clock: Clock = _SYSTEM_CLOCK
    ) -> None:
        self._node = node
        self._services = services
        self._clock = clock
        self._servicer = health.aio.HealthServicer()
        self._looking: asyncio.Task[None] | None = None
        self._told: bool | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve it there."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Tell how it is, and go on looking."""
        await self._tell()
        self._looking = asyncio.create_task(self._look(), name="grpc-health")

    async def stop(self) -> None:
        """Look no more; tell that it ends."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._servicer.enter_graceful_shutdown()

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(LOOK_INTERVAL_S)
            await self._tell()

    async def _tell(self) -> None:
        is_serving = not self._node.stopped()
        if is_serving == self._told:
            return
        self._told = is_serving
        for service in self._services:
            await self._servicer.set(service, _SERVING if is_serving else _NOT_SERVING)
