"""The one tree of errors: kinds that tell the caller what to do.

A kind is a class; what it is about is in attributes, never only in the text. The transports and
the CLI translate a kind by `ANSWERS`, in their last step and nowhere else. Text is lower case,
names the operation and the object, and does not repeat its cause (`raise ... from cause`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class DecubeError(Exception):
    """The root of every error the product raises on purpose.

    `message` says what went wrong; `details` holds facts about it by name, JSON-able, for programs.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class Invalid(DecubeError):
    """The request is malformed; nothing was changed. `field` names the culprit, if there is one."""

    code = "invalid"

    def __init__(self, message: str, *, field: str | None = None, **details: object) -> None:
        super().__init__(message, **({"field": field} if field is not None else {}), **details)
        self.field = field


class NotFound(DecubeError):
    """There is no such object."""

    code = "not_found"


class OfVersion(DecubeError):
    """What the two kinds share that speak of an object's version. Not a kind: nobody catches it."""

    def __init__(
        self, message: str, *, resource_version: str | None = None, **details: object
    ) -> None:
        known = {} if resource_version is None else {"resource_version": resource_version}
        super().__init__(message, **known, **details)
        self.resource_version = resource_version


class AlreadyExists(OfVersion):
    """The object exists; `resource_version` is the current one's, where it is known."""

    code = "already_exists"


class Conflict(OfVersion):
    """The object changed meanwhile: read it again and decide anew."""

    code = "conflict"


class Compacted(DecubeError):
    """The history asked for is gone: list again and watch from there.

    `compact_revision` is where it begins now, 0 where the store does not tell (etcd to a range).
    """

    code = "compacted"

    def __init__(self, message: str, *, compact_revision: int) -> None:
        super().__init__(message, compact_revision=compact_revision)
        self.compact_revision = compact_revision


class Unavailable(DecubeError):
    """Not now: retry after `retry_after_s`. A write's fate may be unknown."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, **details: object) -> None:
        super().__init__(message, **details)
        self.retry_after_s = retry_after_s


class NotLeader(DecubeError):
    """Another node must do this; `leader` is its address, where it is known."""

    code = "not_leader"

    def __init__(self, message: str, *, leader: str | None = None) -> None:
        super().__init__(message, **({} if leader is None else {"leader": leader}))
        self.leader = leader


class Exhausted(DecubeError):
    """A limit is reached: too many requests, or no space. Slow down or make room."""

    code = "exhausted"


class TooLarge(DecubeError):
    """The request is above a size limit; `limit_bytes` is the limit."""

    code = "too_large"

    def __init__(self, message: str, *, limit_bytes: int) -> None:
        super().__init__(message, limit_bytes=limit_bytes)
        self.limit_bytes = limit_bytes


class Unauthenticated(DecubeError):
    """Say who you are."""

    code = "unauthenticated"


class Denied(DecubeError):
    """You may not."""

    code = "denied"


class Corrupt(DecubeError):
    """Stored data is damaged: stop, and restore. The text names file and offset."""

    code = "corrupt"


class Damaged(Corrupt):
    """A snapshot or its archive is damaged; nothing was changed, and the store is sound."""

    code = "damaged"


class Closed(DecubeError):
    """The thing was closed, or belongs to another process (after a fork)."""

    code = "closed"


class Unimplemented(DecubeError):
    """Known, and not built yet."""

    code = "unimplemented"


class Internal(DecubeError):
    """A defect of ours."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a kind is told: HTTP status, gRPC code by its name, exit code of the CLI."""

    http_status: int
    grpc_code: str
    exit_code: int


# Exit codes 0 (done), 1 (a defect of ours) and 2 (bad usage) are the shell's customs; the kinds
# follow from 3. What only `decube up` can end with stands beside it (see docs/exit-codes.md).
ANSWERS: Mapping[type[DecubeError], Answer] = {
    Invalid: Answer(400, "INVALID_ARGUMENT", 2),
    NotFound: Answer(404, "NOT_FOUND", 3),
    AlreadyExists: Answer(409, "ALREADY_EXISTS", 4),
    Conflict: Answer(409, "ABORTED", 5),
    Compacted: Answer(410, "OUT_OF_RANGE", 6),
    Unavailable: Answer(503, "UNAVAILABLE", 7),
    NotLeader: Answer(503, "FAILED_PRECONDITION", 8),
    Exhausted: Answer(429, "RESOURCE_EXHAUSTED", 9),
    TooLarge: Answer(413, "RESOURCE_EXHAUSTED", 9),
    Unauthenticated: Answer(401, "UNAUTHENTICATED", 10),
    Denied: Answer(403, "PERMISSION_DENIED", 11),
    Corrupt: Answer(500, "DATA_LOSS", 12),
    Damaged: Answer(422, "DATA_LOSS", 12),
    Closed: Answer(503, "UNAVAILABLE", 13),
    Unimplemented: Answer(501, "UNIMPLEMENTED", 14),
    Internal: Answer(500, "INTERNAL", 1),
}


def answer_of(error: DecubeError) -> Answer:
    """Return the row of the nearest kind in the tree."""
    for kind in type(error).__mro__:
        if kind in ANSWERS:
            return ANSWERS[kind]
    return ANSWERS[Internal]


def require(condition: object, message: str) -> None:
    """Raise `Internal` unless a fact that our own code must guarantee holds."""
    if not condition:
        raise Internal(message)


def system_reason(error: OSError) -> str:
    """Return what the system said, as the end of a sentence."""
    return (error.strerror or str(error)).lower()
