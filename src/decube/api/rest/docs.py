"""`/openapi.json`, and `/docs`: a page that shows it and lets one try it, without any other site.

The page is Swagger UI, which the build fetches from the npm registry into `static/`
(`tools/docs_assets.py`). Where it was built without, `/docs` says how to get it.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from litestar import get
from litestar.types import ASGIApp, Scope

from decube.api.rest.answers import Answer
from decube.api.rest.errors import Problem
from decube.api.rest.openapi import openapi_json

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from decube.services.node import NodeInfoSource

STATIC = Path(__file__).parent / "static"
ASSETS = {
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
}

_OK, _NOT_FOUND = 200, 404
_HTML = b"text/html; charset=utf-8"
_START_SCRIPT = "start.js"
_POLICY = (
    b"content-security-policy",
    (
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
)
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DeCube API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = b"""SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null,
});
"""
_PAGE_WITHOUT_ASSETS = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>DeCube API</title></head>
<body>
<h1>DeCube API</h1>
<p>The API is described in <a href="/openapi.json">/openapi.json</a>.</p>
<p>The page that shows it was not built, because npm was absent. With npm installed,
<code>python tools/docs_assets.py</code> in the source tree fetches it.</p>
</body>
</html>
"""


class DocsRoutes:
    """Handlers that describe the API, in the version that the node tells."""

    def __init__(self, node: NodeInfoSource) -> None:
        self._node = node

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return what the application routes to."""
        return [
            get("/openapi.json")(self.openapi),
            get("/docs")(self.page),
            get("/docs/{file:str}")(self.asset),
        ]

    async def openapi(self, scope: Scope) -> ASGIApp:  # noqa: ARG002
        """Tell the OpenAPI document."""
        return Answer(_OK, openapi_json(self._node.node_info().version))

    async def page(self, scope: Scope) -> ASGIApp:  # noqa: ARG002
        """Show the page."""
        page = _PAGE if _asset("swagger-ui-bundle.js") else _PAGE_WITHOUT_ASSETS
        return Answer(_OK, page, ((b"content-type", _HTML), _POLICY))

    async def asset(self, scope: Scope) -> ASGIApp:
        """Give the page one of its parts."""
        name = scope["path_params"]["file"]
        body = _START if name == _START_SCRIPT else _asset(name)
        if body is None:
            raise Problem(_NOT_FOUND, "not_found", "the page of the API has no such part")
        media_type = ASSETS.get(name, ASSETS["swagger-ui-bundle.js"])
        return Answer(_OK, body, ((b"content-type", media_type), _POLICY))


@functools.cache
def _asset(name: str) -> bytes | None:
    """Read a part of the page; None when it is unknown or was not built."""
    if name not in ASSETS:
        return None
    path = STATIC / name
    return path.read_bytes() if path.is_file() else None
