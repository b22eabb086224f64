"""What every request passes before the framework sees it: one plain ASGI layer.

* The request id, in every answer: the client's `X-Request-ID` if it is well-formed, else ours.
* The Host header, on loopback listeners; see `hosts`.
* `Vary: Origin` where origins are told apart, in every answer: also one that refuses an origin must
  not be given to another by a cache.
* The metrics: requests by method, route and status, and their duration. A watch counts as a
  request, but its duration says nothing and is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from decube.api.rest.answers import NDJSON, Answer, Headers
from decube.api.rest.errors import REQUEST_ID_KEY, error_body
from decube.api.rest.hosts import HostCheck
from decube.api.rest.metrics import RestMetrics

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import HTTPDisconnectEvent, HTTPScope, Message, Receive, Scope, Send

    from decube.api.rest.dependencies import RestDependencies

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=-]{1,128}")
_VARY = (b"vary", b"Origin")
_MISDIRECTED_REQUEST = 421
_INTERNAL_ERROR = 500


class Front:
    """The outermost application: what uvicorn runs."""

    def __init__(self, app: Litestar, dependencies: RestDependencies) -> None:
        self._app = app
        self._clock = dependencies.clock
        self._ids = dependencies.ids
        self._hosts = HostCheck(dependencies.options)
        self._metrics = RestMetrics(dependencies.metrics)
        origins = dependencies.options.cors_origins
        self._headers = (_VARY,) if origins and "*" not in origins else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope = cast("HTTPScope", scope)
        if scope["method"] == "HEAD":
            # As GET; uvicorn, whose own scope still says HEAD, leaves the body out. Nobody waits
            # for it, so a watch ends where it would begin to stream.
            scope = {**scope, "method": "GET"}
            receive = _nobody_listens
        began_s = self._clock.monotonic_s()
        host, request_id = b"", b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"x-request-id":
                request_id = value
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = self._ids.request_id().encode()
        scope["state"][REQUEST_ID_KEY] = request_id.decode()
        exchange = _Exchange(send, ((b"x-request-id", request_id), *self._headers))
        try:
            refusal = self._hosts.refusal(host)
            if refusal is None:
                await self._app(scope, receive, exchange.send)
            else:
                answer = Answer(_MISDIRECTED_REQUEST, error_body("wrong_host", refusal))
                await answer(scope, receive, exchange.send)
        finally:
            duration_s = None if exchange.is_stream else self._clock.monotonic_s() - began_s
            self._metrics.count(scope, exchange.status, duration_s)


async def _nobody_listens() -> HTTPDisconnectEvent:
    return {"type": "http.disconnect"}


class _Exchange:
    """Adds headers to an answer, above all its request id, and remembers its status."""

    __slots__ = ("_headers", "_send", "is_stream", "status")

    def __init__(self, send: Send, headers: Headers) -> None:
        self._send = send
        self._headers = headers
        self.status = _INTERNAL_ERROR
        self.is_stream = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            start = cast("dict[str, Any]", message)
            self.status = start["status"]
            # The framework says it of the origins that it allows.
            headers = [header for header in start["headers"] if header[0] != _VARY[0]]
            self.is_stream = NDJSON in headers
            headers += self._headers
            start["headers"] = headers
        await self._send(message)
