"""The service as a whole: its contract, what is not built, reflection, health, bounds, the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.integration.grpc.test_pods import GrpcApi, create, failure, grpc_api
from tests.support.api import ANY_PORT, WAIT_S_MAX, grpc_server

from decube.api.grpc import GrpcOptions
from decube.pb.decube import decube_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# The original's numbers: what its clients were compiled with.
CONTRACT = {
    "Pod": "name namespace status node_name created_at updated_at labels annotations",
    "Snapshot": "id name status created_at size_bytes etcd_revision checksum metadata",
    "Lease": "id holder ttl_seconds granted_at expires_at metadata",
    "CreatePodRequest": "pod",
    "UpdatePodRequest": "pod",
    "GetPodRequest": "name namespace",
    "DeletePodRequest": "name namespace",
    "ListPodsRequest": "namespace labels limit continuation_token",
    "CreateSnapshotRequest": "name metadata",
    "GetSnapshotRequest": "id",
    "DeleteSnapshotRequest": "id",
    "ListSnapshotsRequest": "limit continuation_token",
    "RestoreSnapshotRequest": "snapshot_id skip_hash_check",
    "CreateLeaseRequest": "holder ttl_seconds metadata",
    "GetLeaseRequest": "id",
    "DeleteLeaseRequest": "id",
    "ListLeasesRequest": "holder limit continuation_token",
    "RenewLeaseRequest": "id ttl_seconds",
    "CreatePodResponse": "pod success error",
    "UpdatePodResponse": "pod success error",
    "GetPodResponse": "pod found error",
    "ListPodsResponse": "pods count next_continuation_token",
    "DeletePodResponse": "deleted error",
    "CreateSnapshotResponse": "snapshot success error",
    "GetSnapshotResponse": "snapshot found error",
    "ListSnapshotsResponse": "snapshots count next_continuation_token",
    "RestoreSnapshotResponse": "success error restored_revision",
    "DeleteSnapshotResponse": "deleted error",
    "CreateLeaseResponse": "lease success error",
    "GetLeaseResponse": "lease found error",
    "ListLeasesResponse": "leases count next_continuation_token",
    "RenewLeaseResponse": "lease success error",
    "DeleteLeaseResponse": "deleted error",
    "ReplicateStateRequest": "peer_address entries",
    "StateEntry": "key value revision",
    "ReplicateStateResponse": "success error applied_revision",
    "GetReplicationStatusRequest": "",
    "PeerStatus": "address connected last_heartbeat revision",
    "GetReplicationStatusResponse": "peers is_leader leader_address current_revision",
}
CALLS = [
    *("CreatePod", "GetPod", "ListPods", "UpdatePod", "DeletePod"),
    *("CreateSnapshot", "GetSnapshot", "ListSnapshots", "RestoreSnapshot", "DeleteSnapshot"),
    *("CreateLease", "GetLease", "ListLeases", "RenewLease", "DeleteLease"),
    *("ReplicateState", "GetReplicationStatus"),
]


@pytest.fixture
async def api() -> AsyncIterator[GrpcApi]:
    async with grpc_api() as served:
        yield served


def test_the_contract_has_the_originals_names_and_numbers() -> None:
    service = pb.DESCRIPTOR.services_by_name["DeCubeService"]
    assert service.full_name == "proto.DeCubeService"
    assert [method.name for method in service.methods] == CALLS
    messages = pb.DESCRIPTOR.message_types_by_name
    assert set(messages.keys()) == set(CONTRACT)
    for name, fields in CONTRACT.items():
        numbered = {field.number: field.name for field in messages[name].fields}
        originals = {number: field for number, field in numbered.items() if number <= 100}
        assert originals == dict(enumerate(fields.split(), start=1)), name


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_of_the_contract_is_answered(api: GrpcApi, name: str) -> None:
    method = pb.DESCRIPTOR.services_by_name["DeCubeService"].methods_by_name[name]
    request = getattr(pb, method.input_type.name)()
    call = getattr(api.calls, name)(request)
    assert await call.code() is not grpc.StatusCode.UNIMPLEMENTED, await call.details()


async def test_reflection_tells_the_services_and_the_contract(api: GrpcApi) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(api.channel)
    asked = (
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="proto.DeCubeService"),
    )
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    services = {service.name for service in answers[0].list_services_response.service}
    assert services >= {"proto.DeCubeService", "grpc.health.v1.Health"}
    files = answers[1].file_descriptor_response.file_descriptor_proto
    assert pb.DESCRIPTOR.serialized_pb in files


async def test_health_is_serving_for_the_server_and_the_service(api: GrpcApi) -> None:
    stub = health_pb2_grpc.HealthStub(api.channel)
    for service in ("", "proto.DeCubeService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_message_above_the_limit_is_refused() -> None:
    options = GrpcOptions(listen=ANY_PORT, message_bytes_max=10_000)
    async with grpc_api(options) as api:
        request = pb.CreatePodRequest(pod=pb.Pod(name="a", annotations={"x": "y" * 20_000}))
        await failure(api.calls.CreatePod(request), grpc.StatusCode.RESOURCE_EXHAUSTED)
        await create(api, "b")


async def test_calls_above_the_limit_are_told_to_come_back() -> None:
    async with grpc_api(GrpcOptions(listen=ANY_PORT, calls_max=1)) as api:
        watching = health_pb2_grpc.HealthStub(api.channel).Watch(health_pb2.HealthCheckRequest())
        await watching.read()
        call = api.calls.GetPod(pb.GetPodRequest(name="a"))
        await failure(call, grpc.StatusCode.RESOURCE_EXHAUSTED)
        watching.cancel()


async def test_bytes_that_are_no_message_fail_the_call(api: GrpcApi) -> None:
    call = api.channel.unary_unary("/proto.DeCubeService/GetPod")
    await failure(call(b"\xff\xff\xff"), grpc.StatusCode.INVALID_ARGUMENT)
    await create(api, "a")


async def test_an_unknown_call_is_unimplemented(api: GrpcApi) -> None:
    call = api.channel.unary_unary("/proto.DeCubeService/DropEverything")
    await failure(call(b""), grpc.StatusCode.UNIMPLEMENTED)


async def test_a_taken_port_is_told(api: GrpcApi) -> None:
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1"):
        async with grpc_server(api.store, GrpcOptions(listen=api.server.address)):
            pass


async def test_stopping_tells_health_watchers_and_refuses_new_calls(api: GrpcApi) -> None:
    stub = health_pb2_grpc.HealthStub(api.channel)
    told = stub.Watch(health_pb2.HealthCheckRequest(service="proto.DeCubeService"))
    async with asyncio.timeout(WAIT_S_MAX):
        first = await told.read()
        assert first.status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.create_task(api.server.stop(timeout_s=1.0))
        second = await told.read()
        assert second.status == health_pb2.HealthCheckResponse.NOT_SERVING
        told.cancel()
        await stopping
    await failure(api.calls.GetPod(pb.GetPodRequest(name="a")), grpc.StatusCode.UNAVAILABLE)
