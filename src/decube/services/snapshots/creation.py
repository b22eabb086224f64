"""Takes one snapshot: an image of the store to chunks, then the manifest that makes them one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from decube.kit.errors import DecubeError
from decube.services.snapshots.manifest import Manifest
from decube.services.snapshots.read_ahead import read_ahead
from decube.services.snapshots.writing import write_image

if TYPE_CHECKING:
    from decube.services.snapshots.activity import Activity
    from decube.services.snapshots.catalogue import Catalogue
    from decube.services.snapshots.chunks import ChunkForm
    from decube.services.snapshots.ports import ImageSource

DISCARD_S_MAX: Final = 10.0

_log = structlog.get_logger("decube.snapshots")


@dataclass(frozen=True, slots=True)
class Creation:
    """What is needed to take one."""

    source: ImageSource
    catalogue: Catalogue
    form: ChunkForm
    tool_version: str

    async def run(self, activity: Activity) -> Manifest:
        """Take it. What was written before an error or a cancel is removed, if that is possible."""
        status = await self.source.status()
        activity.bytes_total = status.db_size_in_use_bytes
        activity.chunks_total = -(-activity.bytes_total // self.form.plain_bytes_max)
        folder = self.catalogue.folder(activity.id)
        try:
            async with self.source.image() as image, read_ahead(aiter(image)) as ahead:
                written = await write_image(
                    self.catalogue.location, folder, ahead, self.form, activity.advance
                )
                revision = image.revision
            manifest = Manifest(
                tool_version=self.tool_version,
                id=activity.id,
                name=activity.name,
                kind=activity.kind,
                created_at=activity.created_at,
                etcd_revision=str(revision),
                cluster_id=f"{status.cluster_id:016x}",
                term=status.term,
                size_bytes=written.size_bytes,
                stored_bytes=sum(chunk.stored_bytes for chunk in written.chunks),
                checksum=written.checksum,
                compression=self.form.compression,
                encryption=self.form.encryption,
                metadata=activity.metadata,
                chunks=written.chunks,
            )
            await self.catalogue.commit(manifest)
        except BaseException:
            await self._discard(activity.id)
            raise
        return manifest

    async def _discard(self, snapshot_id: str) -> None:
        """Remove the chunks; where that fails too, they are swept later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_S_MAX):
                try:
                    await self.catalogue.discard(snapshot_id)
                except DecubeError as error:
                    _log.warning(
                        "chunks of a failed snapshot stay until they are swept",
                        id=snapshot_id,
                        error=error.message,
                    )
