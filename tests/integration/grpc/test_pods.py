"""What the pod calls answer, over a real socket."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.support.api import WAIT_S_MAX, grpc_server
from tests.support.stores import embedded

from decube.pb.decube import decube_pb2 as pb
from decube.pb.decube.decube_pb2_grpc import DeCubeServiceStub
from decube.store.types import Put, Revision, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from decube.api.grpc import GrpcOptions, GrpcServer
    from decube.store.embedded import EmbeddedStore


@dataclass(frozen=True)
class GrpcApi:
    """A gRPC server and a client of it."""

    server: GrpcServer
    channel: grpc.aio.Channel
    calls: DeCubeServiceStub
    store: EmbeddedStore


@asynccontextmanager
async def grpc_api(options: GrpcOptions | None = None) -> AsyncIterator[GrpcApi]:
    async with (
        embedded() as store,
        grpc_server(store, options) as server,
        grpc.aio.insecure_channel(str(server.address)) as channel,
    ):
        yield GrpcApi(server, channel, DeCubeServiceStub(channel), store)


@pytest.fixture
async def api() -> AsyncIterator[GrpcApi]:
    async with grpc_api() as served:
        yield served


async def create(api: GrpcApi, name: str, namespace: str = "", **labels: str) -> pb.Pod:
    pod = pb.Pod(name=name, namespace=namespace, status="new", node_name="n1", labels=labels)
    answer = await api.calls.CreatePod(pb.CreatePodRequest(pod=pod), timeout=WAIT_S_MAX)
    assert answer.success, answer.error
    return answer.pod


async def failure(call: Awaitable[object], code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    assert failed.value.code() is code, failed.value.details()
    return failed.value


def info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)
    assert status is not None
    found = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(found)
    return found


async def test_a_pod_is_created_and_found(api: GrpcApi) -> None:
    pod = await create(api, "a", app="web")
    assert pod.namespace == "default"
    assert pod.created_at == pod.updated_at != ""
    assert (pod.generation, len(pod.uid)) == (1, 36)
    answer = await api.calls.GetPod(pb.GetPodRequest(name="a"))
    assert answer == pb.GetPodResponse(pod=pod, found=True)


async def test_creating_an_existing_pod_is_told_in_the_answer(api: GrpcApi) -> None:
    pod = await create(api, "a")
    answer = await api.calls.CreatePod(pb.CreatePodRequest(pod=pb.Pod(name="a")))
    assert answer == pb.CreatePodResponse(
        error="pod default/a exists already",
        error_code="already_exists",
        current_resource_version=pod.resource_version,
    )


@pytest.mark.parametrize(
    "pod",
    [
        pb.Pod(),
        pb.Pod(name="A"),
        pb.Pod(name="a", namespace="*"),
        pb.Pod(name="a", labels={"-": "x"}),
        pb.Pod(name="a", status="\n"),
        pb.Pod(name="a", resource_version="7"),
    ],
)
async def test_an_invalid_pod_is_told_in_the_answer(api: GrpcApi, pod: pb.Pod) -> None:
    answer = await api.calls.CreatePod(pb.CreatePodRequest(pod=pod))
    assert not answer.success
    assert answer.error_code == "invalid"
    assert answer.error


async def test_an_absent_pod_is_told_in_the_answer(api: GrpcApi) -> None:
    found = await api.calls.GetPod(pb.GetPodRequest(name="a"))
    assert (found.found, found.error_code) == (False, "not_found")
    assert found.error == "pod default/a not found"
    updated = await api.calls.UpdatePod(pb.UpdatePodRequest(pod=pb.Pod(name="a")))
    assert (updated.success, updated.error_code) == (False, "not_found")


async def test_deleting_tells_whether_there_was_one(api: GrpcApi) -> None:
    await create(api, "a")
    request = pb.DeletePodRequest(name="a")
    assert await api.calls.DeletePod(request) == pb.DeletePodResponse(deleted=True)
    assert await api.calls.DeletePod(request) == pb.DeletePodResponse(deleted=False)


async def test_rows_that_cannot_be_read_are_named_by_their_keys(api: GrpcApi) -> None:
    for kind in (b"pods", b"leases"):
        rows = [b"/decube/%s/default/%s" % (kind, name) for name in (b"A", b"a/b", b"\xff", b"z")]
        await api.store.txn(Txn(success=tuple(Put(row, b"x") for row in rows)))
    pods = await api.calls.ListPods(pb.ListPodsRequest(), timeout=WAIT_S_MAX)
    leases = await api.calls.ListLeases(pb.ListLeasesRequest(), timeout=WAIT_S_MAX)
    for listed in (pods, leases):
        assert listed.unreadable == 4
        assert list(listed.unreadable_names) == ["default/A", "default/a/b", "default/z"]
    for name in ("A", "a/b"):
        request = pb.DeletePodRequest(name=name)
        assert await api.calls.DeletePod(request) == pb.DeletePodResponse(deleted=True)


async def test_an_update_without_a_mask_sets_what_is_not_empty(api: GrpcApi) -> None:
    await create(api, "a", app="web")
    changed = pb.Pod(name="a", status="running")
    pod = (await api.calls.UpdatePod(pb.UpdatePodRequest(pod=changed))).pod
    assert (pod.status, pod.node_name, dict(pod.labels)) == ("running", "n1", {"app": "web"})


async def test_an_update_sets_what_its_mask_names(api: GrpcApi) -> None:
    await create(api, "a", app="web")
    request = pb.UpdatePodRequest(
        pod=pb.Pod(name="a", status="running", node_name="ignored"),
        update_mask=FieldMask(paths=["status", "labels"]),
    )
    pod = (await api.calls.UpdatePod(request)).pod
    assert (pod.status, pod.node_name, dict(pod.labels)) == ("running", "n1", {})
    everything = pb.UpdatePodRequest(pod=pb.Pod(name="a"), update_mask=FieldMask(paths=["*"]))
    pod = (await api.calls.UpdatePod(everything)).pod
    assert (pod.status, pod.node_name) == ("", "")


async def test_a_mask_of_another_field_is_told(api: GrpcApi) -> None:
    await create(api, "a")
    request = pb.UpdatePodRequest(pod=pb.Pod(name="a"), update_mask=FieldMask(paths=["created_at"]))
    answer = await api.calls.UpdatePod(request)
    assert answer.error_code == "invalid"
    assert "created_at" in answer.error


async def test_a_resource_version_makes_writes_conditional(api: GrpcApi) -> None:
    seen = (await create(api, "a")).resource_version
    changed = pb.Pod(name="a", status="one", resource_version=seen)
    first = await api.calls.UpdatePod(pb.UpdatePodRequest(pod=changed))
    assert first.success
    second = await api.calls.UpdatePod(pb.UpdatePodRequest(pod=changed))
    assert (second.success, second.error_code) == (False, "conflict")
    assert second.current_resource_version == first.pod.resource_version
    deleted = await api.calls.DeletePod(pb.DeletePodRequest(name="a", resource_version=seen))
    assert (deleted.deleted, deleted.error_code) == (False, "conflict")
    assert deleted.current_resource_version == first.pod.resource_version


async def test_lists_select_and_are_followed_page_by_page(api: GrpcApi) -> None:
    for number in range(5):
        await create(api, f"p{number}", tier="web", rev=str(number))
    await create(api, "other", tier="db")
    await create(api, "away", namespace="team", tier="web")
    names, token = [], ""
    while True:
        page = await api.calls.ListPods(
            pb.ListPodsRequest(
                labels={"tier": "web"},
                label_selector="rev>0",
                limit=3,
                continuation_token=token,
            )
        )
        assert page.count == len(page.pods) <= 3
        names += [pod.name for pod in page.pods]
        token = page.next_continuation_token
        if not token:
            break
    assert names == ["p1", "p2", "p3", "p4"]
    everywhere = await api.calls.ListPods(pb.ListPodsRequest(namespace="*"))
    assert everywhere.count == 7


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListPodsRequest(limit=-1), "limit"),
        (pb.ListPodsRequest(namespace="A"), "namespace"),
        (pb.ListPodsRequest(label_selector="a in"), "label_selector"),
        (pb.ListPodsRequest(labels={"-": "x"}), "labels"),
        (pb.ListPodsRequest(labels={"a": "?"}), "labels.a"),
        (pb.ListPodsRequest(continuation_token="zzz"), "continue"),  # noqa: S106
    ],
)
async def test_a_bad_list_fails_with_the_field_in_its_details(
    api: GrpcApi, request_: pb.ListPodsRequest, field: str
) -> None:
    error = await failure(api.calls.ListPods(request_), grpc.StatusCode.INVALID_ARGUMENT)
    assert info(error).reason == "invalid"
    assert info(error).domain == "decube"
    assert info(error).metadata["field"] == field


async def test_a_page_of_a_compacted_list_fails_as_out_of_range(api: GrpcApi) -> None:
    for number in range(3):
        await create(api, f"p{number}")
    page = await api.calls.ListPods(pb.ListPodsRequest(limit=2))
    last = await create(api, "p9")
    await api.store.compact(Revision(int(last.resource_version)))
    request = pb.ListPodsRequest(limit=2, continuation_token=page.next_continuation_token)
    error = await failure(api.calls.ListPods(request), grpc.StatusCode.OUT_OF_RANGE)
    assert info(error).reason == "compacted"


async def test_a_closed_store_fails_the_call_as_unavailable(api: GrpcApi) -> None:
    await api.store.close()
    call = api.calls.GetPod(pb.GetPodRequest(name="a"))
    assert info(await failure(call, grpc.StatusCode.UNAVAILABLE)).reason == "closed"


async def test_a_damaged_row_fails_the_call_as_data_loss(api: GrpcApi) -> None:
    await api.store.txn(Txn(success=(Put(b"/decube/pods/default/a", b"garbage"),)))
    call = api.calls.GetPod(pb.GetPodRequest(name="a"))
    error = await failure(call, grpc.StatusCode.DATA_LOSS)
    assert info(error).metadata["key"] == "/decube/pods/default/a"
