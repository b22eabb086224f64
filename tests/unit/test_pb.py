"""The generated stubs live beside other etcd clients in one process."""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool

from decube.pb.etcd import kv_pb2, rpc_pb2


def test_another_etcd_client_can_register_the_same_names() -> None:
    for module in (kv_pb2, rpc_pb2):
        theirs = descriptor_pb2.FileDescriptorProto(
            name=module.DESCRIPTOR.name, package=module.DESCRIPTOR.package, syntax="proto3"
        )
        theirs.message_type.add(name="KeyValue")
        theirs.message_type.add(name="RangeRequest")
        descriptor_pool.Default().Add(theirs)  # type: ignore[no-untyped-call]
    kv = kv_pb2.KeyValue(key=b"k", value=b"v", mod_revision=7)
    answer = rpc_pb2.RangeResponse(kvs=[kv], count=1)
    assert rpc_pb2.RangeResponse.FromString(answer.SerializeToString()).kvs[0] == kv
