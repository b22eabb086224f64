"""Clients whose `:authority` no URI can have: nobody looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from tests.support.http2 import END_HEADERS, END_STREAM, Kind, RawConnection, field, frame, message

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

CALL_SECONDS_MAX = 20
# `#initially=[http://127.0.0.1:2379]` of Go's clientv3 3.5.0, which kube-apiserver 1.22 and 1.23
# speak to etcd with, in HPACK's code and kept in the table of headers.
FROM_GO = bytes.fromhex("419bffa35464987451ea0ffdce94d7718602275702e05c3704cbaffff3")
KEPT = b"\xbe"
REST = b"".join(
    (
        b"\x83\x86",
        b"\x04" + bytes((len(b"/etcdserverpb.KV/Range"),)) + b"/etcdserverpb.KV/Range",
        field(b"content-type", b"application/grpc"),
        field(b"te", b"trailers"),
    )
)


def call(stream: int, head: bytes) -> bytes:
    request = message(pb.RangeRequest(key=b"k").SerializeToString())
    return frame(Kind.HEADERS, END_HEADERS, stream, head) + frame(
        Kind.DATA, END_STREAM, stream, request
    )


@pytest.mark.parametrize("piece_bytes", [1, 20, 1_000])
def test_a_client_of_the_time_of_kubernetes_1_22_is_served(
    node: NodeProcess, piece_bytes: int
) -> None:
    node.ensure_started()
    sent = call(1, FROM_GO + REST) + call(3, KEPT + REST) + call(5, KEPT + REST)
    with RawConnection(node.etcd_address) as client:
        for at in range(0, len(sent), piece_bytes):
            client.send(sent[at : at + piece_bytes])
        answered = set()
        for kind, stream, _ in client.frames():
            assert kind not in {Kind.RST_STREAM, Kind.GOAWAY}
            answered |= {stream} if kind == Kind.DATA else set()
            if answered == {1, 3, 5}:
                return
    raise AssertionError(f"answered: {answered}")


def test_a_target_of_several_addresses_is_served(node: NodeProcess) -> None:
    node.ensure_started()
    target = f"ipv4:{node.etcd_address},127.0.0.1:1"
    with grpc.insecure_channel(target) as channel:
        for _ in range(3):
            assert KVStub(channel).Put(pb.PutRequest(key=b"k"), timeout=CALL_SECONDS_MAX).header


@pytest.mark.parametrize("authority", ["/run/etcd.sock", "run%2Fetcd.sock", "[", "a b", "\\\\"])
def test_any_text_may_stand_there(node: NodeProcess, authority: str) -> None:
    node.ensure_started()
    options = [("grpc.default_authority", authority)]
    with grpc.insecure_channel(node.etcd_address, options) as channel:
        for _ in range(3):
            assert KVStub(channel).Put(pb.PutRequest(key=b"k"), timeout=CALL_SECONDS_MAX).header
