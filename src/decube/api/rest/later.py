"""Routes of the API that are known and not built yet: they answer 501, and are not described."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import route
from litestar.types import ASGIApp, Method, Scope

from decube.kit.errors import Unimplemented

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

_NOT_IMPLEMENTED = 501
_ROUTES: tuple[tuple[str, tuple[Method, ...]], ...] = (
    ("/api/v1/snapshots", ("GET", "POST")),
    ("/api/v1/snapshots/{id:str}", ("GET", "DELETE")),
    ("/api/v1/snapshots/{id:str}/restore", ("POST",)),
)


def later_handlers() -> list[HTTPRouteHandler]:
    """Return what the application routes to."""
    return [
        route(path, http_method=list(methods), status_code=_NOT_IMPLEMENTED)(_unimplemented)
        for path, methods in _ROUTES
    ]


async def _unimplemented(scope: Scope) -> ASGIApp:
    what = scope["path"].split("/")[3]
    raise Unimplemented(f"{what} are not built yet; pods are: see /docs")
