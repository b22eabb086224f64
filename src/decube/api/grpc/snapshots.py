"""The snapshot calls: messages in, the snapshot service, messages out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.api.grpc.errors import TOLD
from decube.kit.errors import Damaged, Denied
from decube.pb.decube import decube_pb2 as pb
from decube.services.snapshots import SnapshotDraft

if TYPE_CHECKING:
    from decube.model.snapshot import SnapshotView
    from decube.services.snapshots import SnapshotService

NOT_RESTORED = (*TOLD, Damaged, Denied)
"""What the answer to a restore tells: it is about the snapshot, and nothing was changed."""


class SnapshotCalls:
    """The snapshot part of the service."""

    def __init__(self, snapshots: SnapshotService) -> None:
        self._snapshots = snapshots

    async def create_snapshot(self, request: pb.CreateSnapshotRequest) -> pb.CreateSnapshotResponse:
        """Create a snapshot, and wait for it unless told not to."""
        draft = SnapshotDraft(name=request.name, metadata=dict(request.metadata))
        try:
            if request.no_wait:
                snapshot, _ = self._snapshots.begin(draft)
            else:
                snapshot = await self._snapshots.create(draft)
        except TOLD as error:
            return pb.CreateSnapshotResponse(error=error.message, error_code=error.code)
        return pb.CreateSnapshotResponse(snapshot=message_of(snapshot), success=True)

    async def get_snapshot(self, request: pb.GetSnapshotRequest) -> pb.GetSnapshotResponse:
        """Read a snapshot; an absent one is told in the answer."""
        try:
            snapshot = await self._snapshots.get(request.id)
        except TOLD as error:
            return pb.GetSnapshotResponse(error=error.message, error_code=error.code)
        return pb.GetSnapshotResponse(snapshot=message_of(snapshot), found=True)

    async def list_snapshots(self, request: pb.ListSnapshotsRequest) -> pb.ListSnapshotsResponse:
        """Read a page of snapshots. Its answer has no error: every error fails the call."""
        page = await self._snapshots.list(request.limit, request.continuation_token)
        return pb.ListSnapshotsResponse(
            snapshots=[message_of(snapshot) for snapshot in page.snapshots],
            count=len(page.snapshots),
            next_continuation_token=page.continue_token,
            unreadable=page.unreadable,
        )

    async def restore_snapshot(
        self, request: pb.RestoreSnapshotRequest
    ) -> pb.RestoreSnapshotResponse:
        """Put a snapshot back in place; why that cannot be is told in the answer."""
        try:
            revision = await self._snapshots.restore(
                request.snapshot_id, skip_hash_check=request.skip_hash_check
            )
        except NOT_RESTORED as error:
            return pb.RestoreSnapshotResponse(error=error.message, error_code=error.code)
        return pb.RestoreSnapshotResponse(success=True, restored_revision=str(revision))

    async def delete_snapshot(self, request: pb.DeleteSnapshotRequest) -> pb.DeleteSnapshotResponse:
        """Delete a snapshot; there being none is no error."""
        try:
            deleted = await self._snapshots.delete(request.id)
        except TOLD as error:
            return pb.DeleteSnapshotResponse(error=error.message, error_code=error.code)
        return pb.DeleteSnapshotResponse(deleted=deleted)


def message_of(snapshot: SnapshotView) -> pb.Snapshot:
    """Write a snapshot as a message."""
    return pb.Snapshot(
        id=snapshot.id,
        name=snapshot.name,
        status=snapshot.status,
        created_at=snapshot.created_at,
        size_bytes=snapshot.size_bytes,
        etcd_revision=snapshot.etcd_revision,
        checksum=snapshot.checksum,
        metadata=snapshot.metadata,
        kind=snapshot.kind,
        stored_bytes=snapshot.stored_bytes,
        chunk_count=snapshot.chunk_count,
        compression=snapshot.compression,
        encryption=snapshot.encryption,
        format_version=snapshot.format_version,
        tool_version=snapshot.tool_version,
        cluster_id=snapshot.cluster_id,
        progress=snapshot.progress,
        error=snapshot.error,
    )
