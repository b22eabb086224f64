"""Parts of snapshots for the tests: images of known bytes, and locations to keep them in."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from decube.services.snapshots import (
    Catalogue,
    SnapshotDependencies,
    SnapshotOptions,
    SnapshotService,
)
from decube.services.snapshots.chunks import ChunkForm
from decube.services.snapshots.manifest import Manifest
from decube.services.snapshots.writing import write_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.services.snapshots.location.protocol import Location
    from decube.store.embedded import EmbeddedStore

SNAPSHOT_ID = "snap-20260131T120000000Z-1f2e3d4c"
KIB = 1 << 10
CHUNK_BYTES = 64 * KIB


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress."""
    return hashlib.shake_128(b"%d" % seed).digest(size)


async def stream(content: bytes, block: int = 10_000) -> AsyncIterator[bytes]:
    """Hand bytes out in blocks."""
    for start in range(0, len(content), block):
        yield content[start : start + block]


async def gathered(pieces: AsyncIterator[bytes]) -> bytes:
    """Read a stream to its end."""
    return b"".join([piece async for piece in pieces])


def service_with_small_chunks(store: EmbeddedStore, location: Location) -> SnapshotService:
    """Make the service of a store; an image of some hundred KiB has several chunks."""
    return SnapshotService(
        SnapshotDependencies(source=store, catalogue=Catalogue(location), restore=store.restore),
        SnapshotOptions(form=ChunkForm(chunk_bytes=CHUNK_BYTES), tool_version="test"),
    )


async def stored(
    catalogue: Catalogue, content: bytes, form: ChunkForm, snapshot_id: str = SNAPSHOT_ID
) -> Manifest:
    """Store bytes as a snapshot."""
    folder = catalogue.folder(snapshot_id)
    written = await write_image(
        catalogue.location, folder, stream(content), form, lambda _bytes, _chunks: None
    )
    manifest = Manifest(
        tool_version="test",
        id=snapshot_id,
        name="a snapshot",
        created_at="2026-01-31T12:00:00Z",
        etcd_revision="7",
        cluster_id=f"{1:016x}",
        size_bytes=written.size_bytes,
        stored_bytes=sum(chunk.stored_bytes for chunk in written.chunks),
        checksum=written.checksum,
        compression=form.compression,
        encryption=form.encryption,
        chunks=written.chunks,
    )
    await catalogue.commit(manifest)
    return manifest
