"""From etcd's wire errors to our kinds: by text where etcd has one, else by code.

etcd's texts are part of its contract (clients compare them), and one code stands for several
kinds: `OutOfRange` is both a compacted and a future revision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc import StatusCode

from decube.kit.errors import (
    AlreadyExists,
    Compacted,
    Corrupt,
    DecubeError,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    NotLeader,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from decube.store.limits import QUOTA, QUOTA_HINT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpc.aio import AioRpcError

PREFIX = "etcdserver: "
NO_LEADER = "no leader"
UNHEALTHY = "unhealthy"
COMPACTED = "mvcc: required revision has been compacted"

# etcd's answer does not tell the compact revision; 0 stands for unknown.
_UNKNOWN_REVISION = 0

_BY_TEXT: Mapping[str, Callable[[str], DecubeError]] = {
    COMPACTED: lambda text: Compacted(text, compact_revision=_UNKNOWN_REVISION),
    "mvcc: required revision is a future revision": lambda text: Invalid(text, field="revision"),
    "mvcc: database space exceeded": lambda text: Exhausted(text, reason=QUOTA, hint=QUOTA_HINT),
    "too many requests": Exhausted,
    "key is not provided": lambda text: Invalid(text, field="key"),
    "requested lease not found": NotFound,
    "lease already exists": AlreadyExists,
    "too large lease TTL": lambda text: Invalid(text, field="ttl_s"),
    "not leader": NotLeader,
    # How a node of ours says that its store stopped writing.
    "unhealthy cluster": lambda text: Unavailable(
        f"the store is unavailable: {text}", reason=UNHEALTHY
    ),
    NO_LEADER: lambda text: Unavailable(f"the store is unavailable: {text}", reason=NO_LEADER),
    "authentication failed, invalid user ID or password": Unauthenticated,
    "user name is empty": Unauthenticated,
    # A stream that began with a token that etcd has forgotten by now: another gets a new one.
    "invalid auth token": Unavailable,
}

_BY_CODE: Mapping[StatusCode, Callable[[str], DecubeError]] = {
    StatusCode.INVALID_ARGUMENT: Invalid,
    StatusCode.OUT_OF_RANGE: Invalid,
    StatusCode.FAILED_PRECONDITION: Invalid,
    StatusCode.NOT_FOUND: NotFound,
    StatusCode.ALREADY_EXISTS: AlreadyExists,
    StatusCode.RESOURCE_EXHAUSTED: Exhausted,
    StatusCode.UNAUTHENTICATED: Unauthenticated,
    StatusCode.PERMISSION_DENIED: Denied,
    StatusCode.DATA_LOSS: Corrupt,
    StatusCode.UNIMPLEMENTED: Unimplemented,
}


def translate(error: AioRpcError, *, request_bytes_max: int) -> DecubeError:
    """Return our error for a failed call.

    What neither text nor code explains is `Unavailable`: transports report resets, timeouts and
    etcd its internal trouble under `Unknown`, `Internal`, `Cancelled` and more, and for all of them
    the one safe reading is that the request may or may not have been executed.
    """
    code, details = error.code(), error.details() or ""
    if code is StatusCode.DEADLINE_EXCEEDED:
        return Unavailable("the store did not answer in time")
    text = details.removeprefix(PREFIX)
    if text == "request is too large" or (
        code is StatusCode.RESOURCE_EXHAUSTED and "message larger than max" in text
    ):
        return TooLarge("the request is too large", limit_bytes=request_bytes_max)
    make = _BY_TEXT.get(text) or _BY_CODE.get(code)
    return make(text) if make is not None else Unavailable(f"the store is unavailable: {details}")


def cancelled_watch(reason: str, compact_revision: int) -> DecubeError:
    """Return our error for a watch that the server cancelled."""
    text = reason.removeprefix(PREFIX)
    if compact_revision > 0 or text == COMPACTED:
        return Compacted(COMPACTED.removeprefix("mvcc: "), compact_revision=compact_revision)
    if "permission denied" in text:
        return Denied(text)
    if text == "mvcc: watcher range is empty":
        return Invalid(text, field="range")
    return Unavailable(f"the store cancelled the watch: {text or 'no reason given'}")
