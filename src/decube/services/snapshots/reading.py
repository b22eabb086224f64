"""Reads a snapshot back as the image it was, checking all of it on the way.

The next range is on its way while one is decoded, and nothing more is held: memory is bounded.
Bytes are handed out before the hash of their chunk is known; whoever takes them must make nothing
of them before the stream has ended without an error. `Store.restore` is like that.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from decube.kit.errors import Damaged, NotFound
from decube.services.snapshots.chunk_files import ChunkFile, gone
from decube.services.snapshots.chunks import ChunkDecoder
from decube.services.snapshots.encryption import need_identities
from decube.services.snapshots.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from decube.services.snapshots.encryption import Identities
    from decube.services.snapshots.location import LocalFiles, Location
    from decube.services.snapshots.manifest import ChunkEntry, Manifest
    from decube.store.image_files import ImagePiece


class SnapshotReader:
    """Reads one snapshot of a location, whose chunks lie below `folder`."""

    def __init__(
        self,
        location: Location,
        folder: str,
        manifest: Manifest,
        *,
        identities: Identities | None = None,
    ) -> None:
        self._location = location
        self._folder = folder
        self._manifest = manifest
        self._identities = identities

    @property
    def can_decode(self) -> bool:
        """Whether there is a key, if one is needed."""
        return self._manifest.encryption == "none" or self._identities is not None

    @property
    def _is_plain(self) -> bool:
        """Whether chunks are parts of the image as they are."""
        return self._manifest.compression == self._manifest.encryption == "none"

    @asynccontextmanager
    async def pieces(
        self, *, check_hashes: bool, on_progress: Callable[[int, int], None]
    ) -> AsyncIterator[AsyncIterator[ImagePiece]]:
        """Read the image for a store, like `image`: as files where its chunks are such."""
        local = self._location.files
        if self._is_plain and local is not None:
            async with aclosing(self._files(local, on_progress, digested=check_hashes)) as files:
                yield files
            return
        image = self.image(check_hashes=check_hashes, on_progress=on_progress)
        async with aclosing(image), read_ahead(image) as ahead:
            yield ahead

    async def _files(
        self, local: LocalFiles, on_progress: Callable[[int, int], None], *, digested: bool
    ) -> AsyncGenerator[ChunkFile, None]:
        size_bytes = 0
        for number, entry in enumerate(self._manifest.chunks, start=1):
            path = local.path(f"{self._folder}/{entry.name}")
            size_bytes += entry.plain_bytes
            on_read = partial(on_progress, size_bytes, number)
            yield ChunkFile(self.called(entry), entry, path, digested, on_read)

    async def image(
        self, *, check_hashes: bool = True, on_progress: Callable[[int, int], None] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Read the plain image; `on_progress` gets plain bytes and chunks so far.

        Raises `Damaged` for anything that is not as the manifest says, and `Denied` without the
        key to an encrypted snapshot.
        """
        manifest = self._manifest
        if not self.can_decode:
            raise need_identities(f"snapshot {manifest.id}")
        # Where chunks are parts of the image as they are, their own hashes have said all of it.
        whole = hashlib.sha256() if check_hashes and not self._is_plain else None
        size_bytes = 0
        for number, entry in enumerate(manifest.chunks):
            async with aclosing(self.plain(entry, check_hash=check_hashes)) as pieces:
                async for piece in pieces:
                    if whole is not None:
                        await asyncio.to_thread(whole.update, piece)
                    size_bytes += len(piece)
                    yield piece
                    if on_progress is not None:
                        on_progress(size_bytes, number)
        if on_progress is not None:
            on_progress(size_bytes, len(manifest.chunks))
        if whole is not None and whole.hexdigest() != manifest.checksum:
            raise Damaged(
                f"snapshot {manifest.id} is damaged: the SHA-256 of its image is not the manifest's"
            )

    async def plain(self, entry: ChunkEntry, *, check_hash: bool) -> AsyncGenerator[bytes, None]:
        """Read a chunk's part of the image. Raises `Damaged`, at its end at the latest."""
        decoder = self._decoder(entry, check_hash=check_hash)
        async with aclosing(self.stored(entry)) as stored:
            async for piece in stored:
                for plain in await asyncio.to_thread(decoder.add, piece):
                    yield plain
        for plain in await asyncio.to_thread(decoder.finish):
            yield plain

    async def check_stored(self, entry: ChunkEntry) -> None:
        """Check the hash of a chunk as it is stored. Raises `Damaged`."""
        digest = hashlib.sha256()
        async with aclosing(self.stored(entry)) as stored:
            async for piece in stored:
                await asyncio.to_thread(digest.update, piece)
        if digest.hexdigest() != entry.sha256:
            raise Damaged(f"{self.called(entry)} is damaged: its SHA-256 is not the manifest's")

    async def stored(self, entry: ChunkEntry) -> AsyncGenerator[bytes, None]:
        """Read a chunk as it is stored. Raises `Damaged` when it is shorter or not there."""
        key, what = f"{self._folder}/{entry.name}", self.called(entry)
        ranges = _ranges(entry.stored_bytes, self._location.range_bytes)
        reading = asyncio.ensure_future(self._location.read(key, *next(ranges)))
        try:
            left = entry.stored_bytes
            while left:
                piece = await reading
                left -= len(piece)
                if following := next(ranges, None):
                    reading = asyncio.ensure_future(self._location.read(key, *following))
                elif left:
                    raise Damaged(f"{what} is damaged: it is {left} bytes short")
                yield piece
        except NotFound as error:
            raise gone(what) from error
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _decoder(self, entry: ChunkEntry, *, check_hash: bool) -> ChunkDecoder:
        sealed = self._manifest.encryption != "none"
        return ChunkDecoder(
            self.called(entry),
            entry,
            self._manifest.compression,
            self._identities if sealed else None,
            check_hash=check_hash,
        )

    def called(self, entry: ChunkEntry) -> str:
        """Name a chunk in messages."""
        return f"{entry.name} of snapshot {self._manifest.id}"


def _ranges(size_bytes: int, range_bytes: int) -> Iterator[tuple[int, int]]:
    """Cut a length into offsets and lengths."""
    for offset in range(0, size_bytes, range_bytes):
        yield offset, min(range_bytes, size_bytes - offset)
