"""The routes about the node itself: what there is, health, facts, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from litestar import get
from litestar.types import ASGIApp, Scope
from msgspec import UNSET
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from decube.api.rest.answers import Answer, json_answer
from decube.api.rest.queries import read_query
from decube.api.rest.shapes import Health, Index
from decube.kit.errors import Invalid
from decube.model.names import shown
from decube.model.timestamps import rfc3339
from decube.services.node import ALARMS

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from decube.api.rest.dependencies import RestDependencies

_OK = 200
_UNHEALTHY = 503


class NodeRoutes:
    """Handlers over what the daemon knows of its node."""

    def __init__(self, dependencies: RestDependencies) -> None:
        self._node = dependencies.node
        self._clock = dependencies.clock
        self._metrics = dependencies.metrics

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return what the application routes to."""
        return [
            get("/")(self.index),
            get("/health")(self.health),
            get("/node/info")(self.node_info),
            get("/metrics")(self.metrics),
        ]

    async def index(self, scope: Scope) -> ASGIApp:
        """Name what there is."""
        read_query(scope, ())
        return json_answer(_OK, Index(version=self._node.node_info().version))

    async def health(self, scope: Scope) -> ASGIApp:
        """Tell whether the store takes writes; 503 and why where it does not."""
        reason = self._trouble(read_query(scope, ("exclude",)).get("exclude", ""))
        node = self._node.node_info()
        health = Health(
            "unhealthy" if reason else "healthy",
            rfc3339(self._clock.now()),
            node.is_leader,
            reason=reason or UNSET,
        )
        if node.role != "none":
            health = msgspec.structs.replace(
                health, role=node.role, term=node.term, lag_seconds=node.lag_seconds
            )
        return json_answer(_UNHEALTHY if reason else _OK, health)

    def _trouble(self, excluded: str) -> str:
        """Tell what makes the node unhealthy but for the alarm `excluded`, "" for nothing."""
        if excluded not in ("", *ALARMS):
            raise Invalid(
                f"exclude {shown(excluded)} is no alarm: known is {', '.join(ALARMS)}",
                field="exclude",
            )
        if stopped := self._node.stopped():
            return stopped
        alarm = self._node.alarm()
        return f"ALARM {alarm}" if alarm and alarm != excluded else ""

    async def node_info(self, scope: Scope) -> ASGIApp:
        """Tell what the node is and where it listens."""
        read_query(scope, ())
        return json_answer(_OK, self._node.node_info())

    async def metrics(self, scope: Scope) -> ASGIApp:  # noqa: ARG002 - scrapers add parameters
        """Tell the metrics in Prometheus' text format."""
        return Answer(
            _OK, generate_latest(self._metrics), ((b"content-type", CONTENT_TYPE_LATEST.encode()),)
        )
