"""Requests of random fields, with and without damage: each gets an answer, and the node lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT

from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message
    from tests.support.node import NodeProcess

EXAMPLES = 40
SECONDS_MAX = 30.0
DEPTH_MAX = 3

REQUESTS: dict[str, type[Message]] = {
    "KV/Range": pb.RangeRequest,
    "KV/Put": pb.PutRequest,
    "KV/DeleteRange": pb.DeleteRangeRequest,
    "KV/Txn": pb.TxnRequest,
    "KV/Compact": pb.CompactionRequest,
    "Lease/LeaseGrant": pb.LeaseGrantRequest,
    "Lease/LeaseRevoke": pb.LeaseRevokeRequest,
    "Lease/LeaseTimeToLive": pb.LeaseTimeToLiveRequest,
    "Maintenance/HashKV": pb.HashKVRequest,
}

# What a server has no business saying about a request.
FAILURES = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}

KEYS = st.sampled_from([b"", b"\0", b"a", b"a\0", b"b", b"\xff", b"\xff\xff", b"k" * 300])
NUMBERS = st.sampled_from([-(2**63), -2, -1, 0, 1, 2, 3, 10, 100, 2**31, 2**62, 2**63 - 1])
SCALARS: dict[int, Callable[[], st.SearchStrategy[Any]]] = {
    FieldDescriptor.TYPE_BYTES: lambda: KEYS,
    FieldDescriptor.TYPE_STRING: lambda: st.text(max_size=5),
    FieldDescriptor.TYPE_BOOL: st.booleans,
    FieldDescriptor.TYPE_INT64: lambda: NUMBERS,
    FieldDescriptor.TYPE_UINT64: lambda: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: lambda: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: lambda: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_ENUM: lambda: st.integers(-1, 6),
}


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor, depth: int = 0) -> dict[str, Any]:
    """Draw the fields of a message, as its constructor takes them."""
    fields: dict[str, Any] = {}
    for field in kind.fields:
        one = value_of(field, depth)
        if one is None or not draw(st.booleans()):
            continue
        fields[field.name] = draw(st.lists(one, max_size=3) if field.is_repeated else one)
    return fields


def value_of(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any] | None:
    if field.message_type is None:
        return SCALARS[field.type]()
    return messages(field.message_type, depth + 1) if depth < DEPTH_MAX else None


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw what became of a message on its way."""
    if not content or draw(st.integers(0, 3)) > 0:
        return content
    at = draw(st.integers(0, len(content) - 1))
    new = draw(st.binary(max_size=8))
    return content[:at] + new + content[at + draw(st.integers(0, 8)) :]


@pytest.mark.effort
@pytest.mark.parametrize("method", REQUESTS)
def test_each_gets_an_answer(victim: NodeProcess, method: str) -> None:
    request = REQUESTS[method]
    with grpc.insecure_channel(victim.etcd_address) as channel:
        call = channel.unary_unary(f"/etcdserverpb.{method}")

        @settings(
            max_examples=EXAMPLES * EFFORT,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def answered(data: st.DataObject) -> None:
            fields = data.draw(messages(request.DESCRIPTOR))
            content = data.draw(damaged(request(**fields).SerializeToString()))
            answer = call.future(content, timeout=SECONDS_MAX)
            assert answer.code() not in FAILURES, answer

        answered()
    victim.require_alive()
