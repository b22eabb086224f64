"""What the lease calls answer, over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from tests.support.api import WAIT_S_MAX, grpc_server
from tests.support.stores import embedded

from decube.pb.decube import decube_pb2 as pb
from decube.pb.decube.decube_pb2_grpc import DeCubeServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ABSENT = "lease-0000000000000043"


@pytest.fixture
async def calls() -> AsyncIterator[DeCubeServiceStub]:
    async with (
        embedded() as store,
        grpc_server(store) as server,
        grpc.aio.insecure_channel(str(server.address)) as channel,
    ):
        yield DeCubeServiceStub(channel)


async def create(calls: DeCubeServiceStub, holder: str = "a", **fields: object) -> pb.Lease:
    request = pb.CreateLeaseRequest(holder=holder, **fields)  # type: ignore[arg-type]
    answer = await calls.CreateLease(request, timeout=WAIT_S_MAX)
    assert answer.success, answer.error
    return answer.lease


async def test_a_lease_is_created_found_renewed_and_deleted(calls: DeCubeServiceStub) -> None:
    lease = await create(calls, "scheduler-1", metadata={"purpose": "election"}, name="leader")
    assert (lease.holder, lease.ttl_seconds, lease.name) == ("scheduler-1", 30, "leader")
    assert dict(lease.metadata) == {"purpose": "election"}
    found = await calls.GetLease(pb.GetLeaseRequest(id=lease.id))
    assert found.found
    assert found.lease.fencing_token == lease.fencing_token > 0
    renewed = await calls.RenewLease(pb.RenewLeaseRequest(id=lease.id, ttl_seconds=60))
    assert renewed.success
    assert (renewed.lease.id, renewed.lease.ttl_seconds) == (lease.id, 60)
    request = pb.DeleteLeaseRequest(id=lease.id)
    assert await calls.DeleteLease(request) == pb.DeleteLeaseResponse(deleted=True)
    assert await calls.DeleteLease(request) == pb.DeleteLeaseResponse(deleted=False)


async def test_a_name_that_another_holds_is_told_in_the_answer(calls: DeCubeServiceStub) -> None:
    held = await create(calls, "a", name="leader", ttl_seconds=600)
    answer = await calls.CreateLease(pb.CreateLeaseRequest(holder="b", name="leader"))
    assert (answer.success, answer.error_code) == (False, "already_exists")
    assert (answer.current.id, answer.current.holder) == (held.id, "a")
    assert answer.current.expires_at.endswith("Z")
    again = await calls.CreateLease(pb.CreateLeaseRequest(holder="a", name="leader"))
    assert (again.success, again.resumed, again.lease.id) == (True, True, held.id)


async def test_an_unknown_lease_is_told_in_the_answer(calls: DeCubeServiceStub) -> None:
    found = await calls.GetLease(pb.GetLeaseRequest(id=ABSENT))
    assert (found.found, found.error_code) == (False, "not_found")
    assert ABSENT in found.error
    renewed = await calls.RenewLease(pb.RenewLeaseRequest(id=ABSENT))
    assert (renewed.success, renewed.error_code) == (False, "not_found")


async def test_lists_are_filtered_and_paged(calls: DeCubeServiceStub) -> None:
    ids = sorted([(await create(calls, "a")).id for _ in range(3)])
    await create(calls, "b", name="leader")
    first = await calls.ListLeases(pb.ListLeasesRequest(holder="a", limit=2))
    assert first.count == 2
    token = first.next_continuation_token
    rest = await calls.ListLeases(
        pb.ListLeasesRequest(holder="a", limit=2, continuation_token=token)
    )
    assert [lease.id for lease in (*first.leases, *rest.leases)] == ids
    assert rest.next_continuation_token == ""
    named = await calls.ListLeases(pb.ListLeasesRequest(name="leader"))
    assert [lease.holder for lease in named.leases] == ["b"]


@pytest.mark.parametrize(
    "request_",
    [
        pb.CreateLeaseRequest(),
        pb.CreateLeaseRequest(holder="a", ttl_seconds=1),
        pb.CreateLeaseRequest(holder="a", name="Not one"),
        pb.CreateLeaseRequest(holder="a", metadata={"": "x"}),
    ],
)
async def test_an_invalid_lease_is_told_in_the_answer(
    calls: DeCubeServiceStub, request_: pb.CreateLeaseRequest
) -> None:
    answer = await calls.CreateLease(request_)
    assert (answer.success, answer.error_code) == (False, "invalid")
    assert answer.error


async def test_errors_of_a_list_fail_the_call(calls: DeCubeServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await calls.ListLeases(pb.ListLeasesRequest(limit=-1))
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
