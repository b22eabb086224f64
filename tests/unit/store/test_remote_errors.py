"""etcd's codes and texts become our kinds."""

from __future__ import annotations

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from decube.kit.errors import (
    AlreadyExists,
    Compacted,
    Corrupt,
    DecubeError,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from decube.store.limits import QUOTA_HINT
from decube.store.remote.errors import cancelled_watch, translate

CODE = grpc.StatusCode


def told(code: grpc.StatusCode, text: str) -> DecubeError:
    error = AioRpcError(code, Metadata(), Metadata(), details=text)
    return translate(error, request_bytes_max=7)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (CODE.OUT_OF_RANGE, "mvcc: required revision has been compacted", Compacted),
        (CODE.OUT_OF_RANGE, "mvcc: required revision is a future revision", Invalid),
        (CODE.RESOURCE_EXHAUSTED, "mvcc: database space exceeded", Exhausted),
        (CODE.RESOURCE_EXHAUSTED, "too many requests", Exhausted),
        (CODE.INVALID_ARGUMENT, "request is too large", TooLarge),
        (CODE.INVALID_ARGUMENT, "duplicate key given in txn request", Invalid),
        (CODE.NOT_FOUND, "requested lease not found", NotFound),
        (CODE.FAILED_PRECONDITION, "lease already exists", AlreadyExists),
        (CODE.OUT_OF_RANGE, "too large lease TTL", Invalid),
        (CODE.UNAVAILABLE, "leader changed", Unavailable),
        (CODE.UNAVAILABLE, "no leader", Unavailable),
        (CODE.UNKNOWN, "context deadline exceeded", Unavailable),
        (CODE.PERMISSION_DENIED, "permission denied", Denied),
        (CODE.UNAUTHENTICATED, "invalid auth token", Unavailable),
        (CODE.INVALID_ARGUMENT, "user name is empty", Unauthenticated),
        (CODE.DATA_LOSS, "corrupt cluster", Corrupt),
        (CODE.UNIMPLEMENTED, "unknown method", Unimplemented),
    ],
)
def test_an_etcd_error_becomes_our_kind(code: grpc.StatusCode, text: str, kind: type) -> None:
    assert type(told(code, f"etcdserver: {text}")) is kind


def test_a_full_quota_says_how_to_make_room() -> None:
    error = told(CODE.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
    assert error.details == {"reason": "quota", "hint": QUOTA_HINT}


def test_what_the_transport_breaks_is_unavailable() -> None:
    for code in (CODE.INTERNAL, CODE.CANCELLED, CODE.ABORTED, CODE.DEADLINE_EXCEEDED):
        assert type(told(code, "RST_STREAM")) is Unavailable


def test_a_message_that_grpc_itself_refuses_is_too_large() -> None:
    error = told(CODE.RESOURCE_EXHAUSTED, "grpc: received message larger than max (9 vs. 8)")
    assert isinstance(error, TooLarge)
    assert error.limit_bytes == 7


def test_a_cancelled_watch_says_compacted_by_its_revision_alone() -> None:
    error = cancelled_watch("", 5)
    assert isinstance(error, Compacted)
    assert error.compact_revision == 5
    assert isinstance(cancelled_watch("etcdserver: no leader", 0), Unavailable)
