"""Answers to OPTIONS for paths with several handlers.

The framework answers OPTIONS by itself, but with the methods of a path's first handler only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import route
from litestar.types import ASGIApp

from decube.api.rest.answers import Answer

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

_NO_CONTENT = 204


def allow(path: str, *methods: str) -> HTTPRouteHandler:
    """Return the handler that tells a path's methods."""
    header = (b"allow", ", ".join((*methods, "OPTIONS")).encode())

    async def options() -> ASGIApp:
        return Answer(_NO_CONTENT, b"", (header,))

    # 204 may not declare a body, and an application is declared as one: the answer has the status.
    return route(path, http_method=["OPTIONS"], status_code=200)(options)
