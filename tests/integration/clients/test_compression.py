"""Clients that compress what they send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub, LeaseStub, WatchStub

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

CALL_SECONDS_MAX = 20
# So long that it is worth compressing.
KEY = b"key" * 1_000


def test_a_client_may_compress_by_gzip(node: NodeProcess) -> None:
    node.ensure_started()
    compression = grpc.Compression.Gzip
    with grpc.insecure_channel(node.etcd_address, compression=compression) as channel:
        kv = KVStub(channel)
        revision = kv.Put(pb.PutRequest(key=KEY, value=b"v" * 10_000), timeout=CALL_SECONDS_MAX)
        read = kv.Range(pb.RangeRequest(key=KEY), timeout=CALL_SECONDS_MAX)
        assert read.kvs[0].value == b"v" * 10_000
        create = pb.WatchCreateRequest(key=KEY, start_revision=revision.header.revision)
        request = pb.WatchRequest(create_request=create)
        answers = WatchStub(channel).Watch(iter([request]), timeout=CALL_SECONDS_MAX)
        events = next(answer.events for answer in answers if answer.events)
        assert events[0].kv.key == KEY
        lease = LeaseStub(channel).LeaseGrant(
            pb.LeaseGrantRequest(TTL=60), timeout=CALL_SECONDS_MAX
        )
        assert lease.ID


def test_what_gzip_blows_up_is_bounded_as_any_request(node: NodeProcess) -> None:
    node.ensure_started()
    compression = grpc.Compression.Gzip
    with grpc.insecure_channel(node.etcd_address, compression=compression) as channel:
        request = pb.PutRequest(key=KEY, value=bytes(100 << 20))
        with pytest.raises(grpc.RpcError) as refused:
            KVStub(channel).Put(request, timeout=CALL_SECONDS_MAX)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert KVStub(channel).Put(pb.PutRequest(key=KEY), timeout=CALL_SECONDS_MAX)


def test_another_encoding_is_refused_by_name(node: NodeProcess) -> None:
    node.ensure_started()
    compression = grpc.Compression.Deflate
    with grpc.insecure_channel(node.etcd_address, compression=compression) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            KVStub(channel).Put(pb.PutRequest(key=KEY), timeout=CALL_SECONDS_MAX)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "gzip" in (refused.value.details() or "")
