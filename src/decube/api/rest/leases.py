"""The routes of leases: `/api/v1/leases`, `/api/v1/leases/{id}` and `/api/v1/leases/{id}/renew`.

A lease has no ETag: its time changes with every renewal, which makes no new version of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import delete, get, post
from litestar.params import RawBody
from litestar.types import ASGIApp, Scope

from decube.api.rest.answers import json_answer
from decube.api.rest.bodies import BodyReader
from decube.api.rest.lease_shapes import (
    LeaseCreation,
    LeaseFound,
    LeaseGranted,
    LeaseList,
    LeaseRenewal,
)
from decube.api.rest.options import allow
from decube.api.rest.queries import read_count, read_query
from decube.api.rest.shapes import Deleted
from decube.services.leases import LeaseDraft

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from decube.services.leases import LeaseService

LIST_PATH = "/api/v1/leases"
LEASE_PATH = "/api/v1/leases/{id:str}"
RENEW_PATH = "/api/v1/leases/{id:str}/renew"
LIST_PARAMETERS = ("holder", "name", "limit", "continue")

_OK, _CREATED = 200, 201
_creations = BodyReader(LeaseCreation)
_renewals = BodyReader(LeaseRenewal)


class LeaseRoutes:
    """Handlers over the lease service."""

    def __init__(self, leases: LeaseService) -> None:
        self._leases = leases

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return what the application routes to."""
        return [
            # Before the others, for each of which the framework would make its own.
            allow(LIST_PATH, "GET", "POST"),
            allow(LEASE_PATH, "GET", "DELETE"),
            get(LIST_PATH)(self.list_leases),
            post(LIST_PATH)(self.create_lease),
            get(LEASE_PATH)(self.get_lease),
            delete(LEASE_PATH, status_code=_OK)(self.delete_lease),
            post(RENEW_PATH, status_code=_OK)(self.renew_lease),
        ]

    async def list_leases(self, scope: Scope) -> ASGIApp:
        """Read a page of leases."""
        parameters = read_query(scope, LIST_PARAMETERS)
        page = await self._leases.list(
            holder=parameters.get("holder", ""),
            name=parameters.get("name", ""),
            limit=read_count(parameters, "limit"),
            continue_token=parameters.get("continue", ""),
        )
        return json_answer(
            _OK,
            LeaseList(
                page.leases,
                len(page.leases),
                page.resource_version,
                page.continue_token,
                page.unreadable,
                page.unreadable_names,
            ),
        )

    async def create_lease(self, scope: Scope, body: RawBody) -> ASGIApp:
        """Grant a lease; 200 instead of 201 to the holder that had it already."""
        read_query(scope, ())
        creation = _creations.read(scope, body)
        draft = LeaseDraft(
            holder=creation.holder,
            ttl_seconds=creation.ttl_seconds,
            metadata=creation.metadata,
            name=creation.name,
        )
        lease, resumed = await self._leases.create(draft)
        return json_answer(_OK if resumed else _CREATED, LeaseGranted(lease))

    async def get_lease(self, scope: Scope) -> ASGIApp:
        """Read a lease."""
        read_query(scope, ())
        return json_answer(_OK, LeaseFound(await self._leases.get(scope["path_params"]["id"])))

    async def renew_lease(self, scope: Scope, body: RawBody) -> ASGIApp:
        """Renew a lease; without a body for as long as before."""
        read_query(scope, ())
        renewal = _renewals.read(scope, body) if body else LeaseRenewal()
        lease = await self._leases.renew(scope["path_params"]["id"], renewal.ttl_seconds)
        return json_answer(_OK, LeaseGranted(lease))

    async def delete_lease(self, scope: Scope) -> ASGIApp:
        """End a lease."""
        read_query(scope, ())
        deleted = await self._leases.delete(scope["path_params"]["id"])
        return json_answer(_OK, Deleted(deleted))
