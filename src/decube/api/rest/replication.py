"""The routes of replication: `/api/v1/replication` and the operator's two commands below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import get, post
from litestar.types import ASGIApp, Scope

from decube.api.rest.answers import json_answer
from decube.api.rest.options import allow
from decube.api.rest.queries import read_query

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from decube.services.replication import ReplicationService

PATH = "/api/v1/replication"
_OK = 200


class ReplicationRoutes:
    """Handlers over the replication service."""

    def __init__(self, replication: ReplicationService) -> None:
        self._replication = replication

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return what the application routes to."""
        return [
            allow(PATH, "GET"),
            get(PATH)(self.state),
            post(f"{PATH}/promote", status_code=_OK)(self.promote),
            post(f"{PATH}/demote", status_code=_OK)(self.demote),
        ]

    async def state(self, scope: Scope) -> ASGIApp:
        """Tell who is who."""
        read_query(scope, ())
        return json_answer(_OK, await self._replication.state())

    async def promote(self, scope: Scope) -> ASGIApp:
        """Make this standby the primary."""
        read_query(scope, ())
        return json_answer(_OK, await self._replication.promote())

    async def demote(self, scope: Scope) -> ASGIApp:
        """Make this primary a standby."""
        read_query(scope, ())
        return json_answer(_OK, await self._replication.demote())
