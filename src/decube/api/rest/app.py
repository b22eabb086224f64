"""The REST application: all routes, one translation of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.config.cors import CORSConfig

from decube.api.rest.docs import DocsRoutes
from decube.api.rest.drain import Drain
from decube.api.rest.errors import exception_handler
from decube.api.rest.leases import LeaseRoutes
from decube.api.rest.node import NodeRoutes
from decube.api.rest.pods import PodRoutes
from decube.api.rest.replication import ReplicationRoutes
from decube.api.rest.snapshots import SnapshotRoutes

if TYPE_CHECKING:
    from decube.api.rest.dependencies import RestDependencies

_PREFLIGHT_MAX_AGE_S = 600


def create_app(dependencies: RestDependencies, drain: Drain | None = None) -> Litestar:
    """Make the application. Streams end when `drain` begins."""
    options = dependencies.options
    services = dependencies.services
    pods = PodRoutes(services.pods, drain or Drain(), options.bookmark_interval_s)
    return Litestar(
        [
            *pods.handlers(),
            *LeaseRoutes(services.leases).handlers(),
            *SnapshotRoutes(services.snapshots).handlers(),
            *NodeRoutes(dependencies).handlers(),
            *ReplicationRoutes(services.replication).handlers(),
            *DocsRoutes(dependencies.node).handlers(),
        ],
        cors_config=_cors(options.cors_origins),
        exception_handlers={Exception: exception_handler(options.body_bytes_max)},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=options.body_bytes_max,
    )


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Content-Type", "If-Match", "X-Request-ID"],
        expose_headers=["ETag", "X-Request-ID", "Retry-After"],
        max_age=_PREFLIGHT_MAX_AGE_S,
    )
