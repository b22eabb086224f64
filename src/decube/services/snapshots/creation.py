"""Takes one snapshot: an image of the store to chunks, then the manifest that makes them one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from decube.kit.errors import DecubeError
from decube.services.snapshots.manifest import Manifest
from decube.services.snapshots.writing import write_image
from decube.services.snapshots.writing_files import write_files
from decube.store.image_files import ImageForFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from decube.services.snapshots.activity import Activity
    from decube.services.snapshots.catalogue import Catalogue
    from decube.services.snapshots.chunks import ChunkForm
    from decube.services.snapshots.ports import ImageSource
    from decube.services.snapshots.writing import Written
    from decube.store.protocol import StoreImage

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
            async with self.source.image() as image:
                written = await self._write(image, folder, activity.advance)
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

    async def _write(
        self, image: StoreImage, folder: str, on_progress: Callable[[int, int], None]
    ) -> Written:
        location, form = self.catalogue.location, self.form
        files = location.files if form.is_plain else None
        if files is not None and isinstance(image, ImageForFiles):
            return await write_files(files, folder, image, form.plain_bytes_max, on_progress)
        return await write_image(location, folder, aiter(image), form, on_progress)

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
