"""How an error is told over gRPC.

What the caller asked for and could not have is no failure of the call: the answer tells it
(`success` or `found` is false, `error` says why). So the contract of this service has it.
Everything else fails the call with the code of `ANSWERS` and a google.rpc.Status: an ErrorInfo
(reason: the kind; metadata: its facts) and, where the kind says when to retry, a RetryInfo. So do
all errors of a call whose answer has no room for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from decube.kit.errors import (
    AlreadyExists,
    Conflict,
    DecubeError,
    Internal,
    Invalid,
    NotFound,
    Unavailable,
    answer_of,
)

if TYPE_CHECKING:
    from typing import NoReturn

    from google.protobuf.message import Message
    from grpc.aio import ServicerContext

_log = structlog.get_logger("decube.api.grpc")

TOLD = (Invalid, NotFound, AlreadyExists, Conflict)
"""The kinds that an answer tells."""

ERROR_DOMAIN = "decube"
_SERVER_ERROR = 500


class Told(TypedDict):
    """The fields of an answer that tell an error."""

    error: str
    error_code: str
    current_resource_version: str


def told(error: DecubeError) -> Told:
    """Return what an answer says of an error."""
    version = str(error.details.get("resource_version", ""))
    return Told(error=error.message, error_code=error.code, current_resource_version=version)


async def fail(context: ServicerContext[Message, Message], error: Exception) -> NoReturn:
    """End a call with an error's status."""
    if not isinstance(error, DecubeError):
        _log.error("call failed", exc_info=error)
        error = Internal("a defect of ours: the server's log tells more")
    elif isinstance(error, Internal):
        _log.error("call failed", exc_info=error)
    elif answer_of(error).http_status == _SERVER_ERROR:
        _log.error("call failed", error=error.message)
    code = grpc.StatusCode[answer_of(error).grpc_code]
    status = status_pb2.Status(code=code.value[0], message=error.message, details=_details(error))
    rich = rpc_status.to_status(status)
    await context.abort(code, error.message, rich.trailing_metadata)


def _details(error: DecubeError) -> list[AnyMessage]:
    facts = {name: str(value) for name, value in error.details.items()}
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=ERROR_DOMAIN, metadata=facts)
    details = [_any(info)]
    if isinstance(error, Unavailable):
        wait = Duration(seconds=math.ceil(error.retry_after_s))
        details.append(_any(error_details_pb2.RetryInfo(retry_delay=wait)))
    return details


def _any(message: Message) -> AnyMessage:
    wrapped = AnyMessage()
    wrapped.Pack(message)
    return wrapped
