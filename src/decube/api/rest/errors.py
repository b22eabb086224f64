"""How an error is told over REST: `{"error": {"code", "message", "details"}}`, whatever went wrong.

Kinds of `decube.kit.errors` get the status of `ANSWERS`; what only HTTP knows (routes, methods,
media types, bodies) is a `Problem`. A defect of ours tells its request id and nothing else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from decube.api.rest.answers import JSON, Answer, Headers
from decube.kit.errors import DecubeError, Internal, Unavailable, answer_of
from decube.store.limits import QUOTA

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = structlog.get_logger("decube.api.rest")
_encode = msgspec.json.Encoder(enc_hook=str).encode

REQUEST_ID_KEY = "decube.request_id"
"""Where `front` leaves the request id in the ASGI scope's state."""

RETRY_AFTER_DEFAULT_S = 1

_BAD_REQUEST, _NOT_FOUND, _METHOD_NOT_ALLOWED, _TOO_LARGE = 400, 404, 405, 413
_TOO_MANY, _INTERNAL, _UNAVAILABLE = 429, 500, 503
_CLIENT_GONE = "client disconnected prematurely"


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong. `details` are facts by name, for programs."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class Problem(Exception):
    """An error that only HTTP knows."""

    def __init__(self, status: int, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details


def error_body(code: str, message: str, details: Mapping[str, object] | None = None) -> bytes:
    """Encode the error shape, as a whole line."""
    return _encode(ErrorBody(ErrorDetail(code, message, dict(details or {})))) + b"\n"


def error_detail(error: DecubeError) -> ErrorDetail:
    """Tell an error inside a stream."""
    return ErrorDetail(error.code, error.message, dict(error.details))


def error_answer(error: Exception, body_bytes_max: int, request_id: str) -> Answer:
    """Translate any exception, in the last step before the client."""
    match error:
        case DecubeError():
            return _kind_answer(error, request_id)
        case Problem():
            return _answer(error.status, error.code, error.message, error.details)
        case HTTPException():
            return _framework_answer(error, body_bytes_max, request_id)
        case _:
            return _defect_answer(error, request_id)


def exception_handler(body_bytes_max: int) -> Any:  # noqa: ANN401 - Litestar's own type is Any-ish
    """Return what Litestar calls with any exception that leaves a handler or the routing."""

    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        request_id = request.scope["state"].get(REQUEST_ID_KEY, "")
        answer = error_answer(error, body_bytes_max, request_id)
        return Response(
            answer.body,
            status_code=answer.status,
            media_type="application/json",
            headers={
                name.decode(): value.decode() for name, value in answer.headers if name != JSON[0]
            },
        )

    return handle


def _kind_answer(error: DecubeError, request_id: str) -> Answer:
    status = answer_of(error).http_status
    if status == _INTERNAL:
        # What went wrong is in the text; where in the code, only a defect asks.
        where = {"exc_info": error} if isinstance(error, Internal) else {"error": error.message}
        _log.error("request failed", request_id=request_id, **where)
    headers: Headers = (JSON,)
    # A full quota stays full: who came back by the clock would only be refused again.
    if status in (_TOO_MANY, _UNAVAILABLE) and error.details.get("reason") != QUOTA:
        wait_s = error.retry_after_s if isinstance(error, Unavailable) else RETRY_AFTER_DEFAULT_S
        headers = (JSON, (b"retry-after", b"%d" % max(1, math.ceil(wait_s))))
    return _answer(status, error.code, error.message, error.details, headers)


def _defect_answer(error: Exception, request_id: str) -> Answer:
    _log.error("request failed", request_id=request_id, exc_info=error)
    return _answer(
        _INTERNAL,
        "internal",
        "a defect of ours: the server's log tells more under this request id",
        {"request_id": request_id},
    )


def _framework_answer(error: HTTPException, body_bytes_max: int, request_id: str) -> Answer:
    """Tell what the framework refuses in our words."""
    match error.status_code:
        case 404:
            return _answer(
                _NOT_FOUND, "unknown_route", "there is no such route: see /docs or /openapi.json"
            )
        case 405:
            # HEAD is answered wherever GET is, before the framework sees it.
            allowed = (error.headers or {}).get("allow", "").replace("GET", "GET, HEAD")
            return _answer(
                _METHOD_NOT_ALLOWED,
                "method_not_allowed",
                f"this route answers to {allowed}",
                {"allowed": [method for method in allowed.split(", ") if method]},
                (JSON, (b"allow", allowed.encode())),
            )
        case 413:
            return _answer(
                _TOO_LARGE,
                "too_large",
                f"the body has more than {body_bytes_max} bytes",
                {"limit_bytes": body_bytes_max},
            )
        case status if status < _INTERNAL:
            return _answer(status, "invalid", error.detail)
        case _ if error.detail == _CLIENT_GONE:
            # The framework's word for it is 500. Nobody reads this; the metrics count it.
            return _answer(_BAD_REQUEST, "invalid", "the client left in the middle of its request")
        case _:
            return _defect_answer(error, request_id)


def _answer(
    status: int,
    code: str,
    message: str,
    details: Mapping[str, object] | None = None,
    headers: Headers = (JSON,),
) -> Answer:
    return Answer(status, error_body(code, message, details), headers)
