"""A snapshot as one stream: a plain tar archive, to be kept, looked into and brought back.

    <id>/manifest.json      first, so that whoever reads knows what follows
    <id>/chunk-0 ...        in order, as stored: compressed and encrypted, if they are

Unpacked into a folder `snapshots` it is a location. Only archives made here are read back: members
in that order, with the sizes and hashes of the manifest, which is committed when all of it came.
"""

from __future__ import annotations

import hashlib
import tarfile
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from decube.kit.errors import AlreadyExists, Conflict, Damaged, Invalid, Unavailable
from decube.services.snapshots.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    check_snapshot_id,
    decode_manifest,
    encode_manifest,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from decube.services.snapshots.catalogue import Catalogue
    from decube.services.snapshots.manifest import ChunkEntry, Manifest
    from decube.services.snapshots.reading import SnapshotReader

_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = bytes(2 * _BLOCK)


def packed_bytes(manifest: Manifest) -> int:
    """Tell how long the archive of a snapshot is."""
    sizes = [len(encode_manifest(manifest)), *(chunk.stored_bytes for chunk in manifest.chunks)]
    return sum(_BLOCK + size + _padding(size) for size in sizes) + len(_END)


async def pack(manifest: Manifest, reader: SnapshotReader) -> AsyncGenerator[bytes, None]:
    """Make the archive. Raises `Damaged` in the middle when a chunk is not as it should be."""
    content = encode_manifest(manifest)
    yield _header(f"{manifest.id}/{MANIFEST_NAME}", len(content))
    yield content + bytes(_padding(len(content)))
    for entry in manifest.chunks:
        yield _header(f"{manifest.id}/{entry.name}", entry.stored_bytes)
        digest = hashlib.sha256()
        async with aclosing(reader.stored(entry)) as stored:
            async for piece in stored:
                digest.update(piece)
                yield piece
        if digest.hexdigest() != entry.sha256:
            raise Damaged(
                f"{entry.name} of snapshot {manifest.id} is damaged: its SHA-256 is not the "
                "manifest's"
            )
        yield bytes(_padding(entry.stored_bytes))
    yield _END


async def unpack(
    snapshot_id: str, archive: AsyncIterator[bytes], catalogue: Catalogue, incoming: set[str]
) -> Manifest:
    """Store the snapshot of an archive, which must have that id; it is in `incoming` meanwhile.

    Raises `Invalid` for what is no such archive, `Damaged` for a damaged one, `AlreadyExists`, and
    `Conflict` while it is in `incoming` already. What was stored before an error is removed.
    """
    source = _Source(archive)
    manifest = await _manifest(source)
    if manifest.id != snapshot_id:
        raise Invalid(f"this is the archive of {manifest.id}, not of {snapshot_id}", field="id")
    if manifest.id in incoming:
        raise Conflict(
            f"snapshot {manifest.id} is being uploaded already: try again when that has ended",
            id=manifest.id,
        )
    incoming.add(manifest.id)
    try:
        if await catalogue.has(manifest.id):
            raise AlreadyExists(f"there is a snapshot {manifest.id} already", id=manifest.id)
        return await _store(source, manifest, catalogue)
    finally:
        incoming.discard(manifest.id)


async def _store(source: _Source, manifest: Manifest, catalogue: Catalogue) -> Manifest:
    try:
        for entry in manifest.chunks:
            await _store_chunk(source, manifest.id, entry, catalogue)
        await catalogue.commit(manifest)
    except BaseException:
        # Another node may store the same one, for a client that tries again there.
        if not await catalogue.has(manifest.id):
            await catalogue.discard(manifest.id)
        raise
    await _check_stored(manifest, catalogue)
    return manifest


async def _check_stored(manifest: Manifest, catalogue: Catalogue) -> None:
    """Take a snapshot back whose chunks another node removed, where storing the same one failed."""
    folder = catalogue.folder(manifest.id)
    stored = {found.key for found in await catalogue.location.list_objects(folder)}
    if all(f"{folder}/{entry.name}" in stored for entry in manifest.chunks):
        return
    await catalogue.discard(manifest.id)
    raise Unavailable(
        f"snapshot {manifest.id} was stored twice at a time, and once in vain: send it again"
    )


async def _manifest(source: _Source) -> Manifest:
    name, size = await source.header()
    snapshot_id, _, file = name.partition("/")
    if file != MANIFEST_NAME or size > MANIFEST_BYTES_MAX:
        raise Invalid("this is no archive of a snapshot: it does not begin with a manifest")
    content = b"".join([piece async for piece in source.content(size)])
    return decode_manifest(check_snapshot_id(snapshot_id), content)


async def _store_chunk(
    source: _Source, snapshot_id: str, entry: ChunkEntry, catalogue: Catalogue
) -> None:
    wanted = (f"{snapshot_id}/{entry.name}", entry.stored_bytes)
    if await source.header() != wanted:
        raise Damaged(f"the archive of snapshot {snapshot_id} is damaged: no {entry.name} follows")
    digest = hashlib.sha256()

    async def checked() -> AsyncIterator[bytes]:
        async for piece in source.content(entry.stored_bytes):
            digest.update(piece)
            yield piece
        # Before it is whole, so that a damaged one never is.
        if digest.hexdigest() != entry.sha256:
            raise Damaged(
                f"the archive of snapshot {snapshot_id} is damaged: the SHA-256 of {entry.name} "
                "is not the manifest's"
            )

    await catalogue.location.write(f"{catalogue.folder(snapshot_id)}/{entry.name}", checked())


class _Source:
    """Takes an archive apart while it comes."""

    def __init__(self, archive: AsyncIterator[bytes]) -> None:
        self._archive = archive
        self._waiting = b""

    async def header(self) -> tuple[str, int]:
        """Read a member's name and size."""
        block = b"".join([piece async for piece in self._take(_BLOCK)])
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise Invalid("this is no archive of a snapshot") from error
        # The format has negative sizes, which would never be read to their end.
        if not info.isreg() or info.size < 0:
            raise Invalid("this is no archive of a snapshot: it has more than files")
        return info.name, info.size

    async def content(self, size: int) -> AsyncIterator[bytes]:
        """Read a member's content, and what fills its last block."""
        async for piece in self._take(size):
            yield piece
        async for _ in self._take(_padding(size)):
            pass

    async def _take(self, size: int) -> AsyncIterator[bytes]:
        while size:
            if not self._waiting:
                self._waiting = await anext(self._archive, b"")
                if not self._waiting:
                    raise Invalid("the archive of the snapshot ends too early")
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            size -= len(piece)
            yield piece


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> int:
    return -size % _BLOCK
