"""REST over HTTP/1.1: the flat API of pods, the node's facts, metrics, and its own description.

A request passes `protocol` (deadlines, connection cap), `front` (request id, Host check, metrics),
Litestar's routing, and a handler in `pods` or `node`. `server` runs them; `openapi` describes them.
"""

from decube.api.rest.app import create_app
from decube.api.rest.dependencies import RestDependencies, RestOptions
from decube.api.rest.server import RestServer

__all__ = ["RestDependencies", "RestOptions", "RestServer", "create_app"]
