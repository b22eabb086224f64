"""What the snapshot calls answer, over a real socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from tests.integration.grpc.test_pods import failure, grpc_api
from tests.support.api import WAIT_S_MAX

from decube.pb.decube import decube_pb2 as pb
from decube.store.types import KeyRange, Put, RangeRequest, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.grpc.test_pods import GrpcApi

ABSENT = "snap-20260131T120000000Z-1f2e3d4c"


@pytest.fixture
async def api() -> AsyncIterator[GrpcApi]:
    async with grpc_api() as served:
        yield served


async def create(api: GrpcApi, **fields: object) -> pb.Snapshot:
    request = pb.CreateSnapshotRequest(**fields)
    answer = await api.calls.CreateSnapshot(request, timeout=WAIT_S_MAX)
    assert answer.success, answer.error
    return answer.snapshot


async def test_a_snapshots_life(api: GrpcApi) -> None:
    snapshot = await create(api, name="weekly", metadata={"by": "admin"})
    assert (snapshot.name, snapshot.status, snapshot.etcd_revision) == ("weekly", "completed", "1")
    assert snapshot.metadata == {"by": "admin"}
    found = await api.calls.GetSnapshot(pb.GetSnapshotRequest(id=snapshot.id))
    assert found.found
    assert found.snapshot == snapshot
    listed = await api.calls.ListSnapshots(pb.ListSnapshotsRequest())
    assert list(listed.snapshots) == [snapshot]
    assert listed.count == 1
    deleted = await api.calls.DeleteSnapshot(pb.DeleteSnapshotRequest(id=snapshot.id))
    assert deleted.deleted
    found = await api.calls.GetSnapshot(pb.GetSnapshotRequest(id=snapshot.id))
    assert (found.found, found.error_code) == (False, "not_found")


async def test_a_restore_tells_the_new_revision(api: GrpcApi) -> None:
    await api.store.txn(Txn(success=(Put(b"key", b"before"),)))
    snapshot = await create(api)
    last = (await api.store.txn(Txn(success=(Put(b"key", b"after"),)))).revision
    request = pb.RestoreSnapshotRequest(snapshot_id=snapshot.id)
    restored = await api.calls.RestoreSnapshot(request, timeout=WAIT_S_MAX)
    assert restored.success, restored.error
    assert int(restored.restored_revision) > last
    found = await api.store.range(RangeRequest(range=KeyRange(b"key")))
    assert found.kvs[0].value == b"before"


async def test_without_waiting_it_has_begun(api: GrpcApi) -> None:
    snapshot = await create(api, no_wait=True)
    assert snapshot.status == "creating"
    async with asyncio.timeout(WAIT_S_MAX):
        while snapshot.status != "completed":
            answer = await api.calls.GetSnapshot(pb.GetSnapshotRequest(id=snapshot.id))
            snapshot = answer.snapshot
    assert snapshot.progress == 100


async def test_what_cannot_be_is_told_in_the_answer(api: GrpcApi) -> None:
    created = await api.calls.CreateSnapshot(pb.CreateSnapshotRequest(name="x" * 254))
    assert (created.success, created.error_code) == (False, "invalid")
    restored = await api.calls.RestoreSnapshot(pb.RestoreSnapshotRequest(snapshot_id=ABSENT))
    assert (restored.success, restored.error_code) == (False, "not_found")
    assert restored.restored_revision == ""
    deleted = await api.calls.DeleteSnapshot(pb.DeleteSnapshotRequest(id=ABSENT))
    assert (deleted.deleted, deleted.error) == (False, "")
    listing = api.calls.ListSnapshots(pb.ListSnapshotsRequest(limit=-1))
    await failure(listing, grpc.StatusCode.INVALID_ARGUMENT)
