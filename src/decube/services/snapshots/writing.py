"""Writes an image as chunks, while it is read: memory is bounded whatever its size.

One task reads the image ahead; one loop hashes it and encodes the chunk that is being filled; the
encoded pieces go by a short queue to the chunk's own task, which writes the object. The next chunk
is filled while the one before it is still being made durable. Reading, hashing and encoding run in
threads, at once, and let the interpreter go. The image's hash and those of its parts, which are the
chunks' where they are stored as they are, come out of one pass.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from decube.services.snapshots.chunks import ChunkEncoder
from decube.services.snapshots.manifest import chunk_name
from decube.services.snapshots.read_ahead import read_ahead
from decube.store.digests import PartsDigest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from decube.services.snapshots.chunks import ChunkForm
    from decube.services.snapshots.location import Location
    from decube.services.snapshots.manifest import ChunkEntry

CHUNKS_IN_FLIGHT: Final = 2
PIECES_QUEUED: Final = 4


@dataclass(frozen=True, slots=True)
class Written:
    """An image as it was written."""

    size_bytes: int
    checksum: str
    chunks: tuple[ChunkEntry, ...]


async def write_image(
    location: Location,
    folder: str,
    image: AsyncIterator[bytes],
    form: ChunkForm,
    on_progress: Callable[[int, int], None],
) -> Written:
    """Write an image's chunks below `folder`; `on_progress` gets plain bytes and chunks so far.

    Raises what the location and the image raise; chunks that were written stay.
    """
    writer = _Writer(location, folder, form, on_progress)
    try:
        async with read_ahead(image) as ahead, asyncio.TaskGroup() as tasks:
            await writer.run(ahead, tasks)
    except BaseExceptionGroup as group:
        raise first_of(group) from group
    return Written(writer.size_bytes, writer.digest.hexdigest(), tuple(writer.chunks))


class _Writer:
    def __init__(
        self,
        location: Location,
        folder: str,
        form: ChunkForm,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._location = location
        self._folder = folder
        self._form = form
        self._on_progress = on_progress
        self._slots = asyncio.Semaphore(CHUNKS_IN_FLIGHT)
        self.digest = PartsDigest()
        self.size_bytes = 0
        self.chunks: list[ChunkEntry] = []
        self._durable = 0

    async def run(self, image: AsyncIterator[bytes], tasks: asyncio.TaskGroup) -> None:
        encoder: ChunkEncoder | None = None
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        async for piece in cut(image, self._form.plain_bytes_max):
            if encoder is None:
                await self._slots.acquire()
                encoder, queue = ChunkEncoder(self._form), asyncio.Queue(PIECES_QUEUED)
                key = f"{self._folder}/{chunk_name(len(self.chunks))}"
                tasks.create_task(self._store(key, queue), name="snapshot-chunk")
            stored = await self._encode(encoder, piece)
            self.size_bytes += len(piece)
            await _send(queue, stored)
            self._on_progress(self.size_bytes, self._durable)
            if encoder.plain_bytes == self._form.plain_bytes_max:
                await self._finish(encoder, queue)
                encoder = None
        if encoder is not None:
            await self._finish(encoder, queue)

    async def _encode(self, encoder: ChunkEncoder, piece: bytes) -> list[bytes]:
        hashing = asyncio.to_thread(self.digest.update, piece)
        if self._form.is_plain:
            await hashing
            return encoder.add(piece)
        _, stored = await asyncio.gather(hashing, asyncio.to_thread(encoder.add, piece))
        return stored

    async def _finish(self, encoder: ChunkEncoder, queue: asyncio.Queue[bytes | None]) -> None:
        await _send(queue, await asyncio.to_thread(encoder.finish))
        await queue.put(None)
        self.chunks.append(encoder.entry(chunk_name(len(self.chunks)), self.digest.cut()))

    async def _store(self, key: str, queue: asyncio.Queue[bytes | None]) -> None:
        await self._location.write(key, _until_none(queue))
        self._durable += 1
        self._on_progress(self.size_bytes, self._durable)
        self._slots.release()


async def cut(image: AsyncIterator[bytes], chunk_bytes: int) -> AsyncIterator[bytes]:
    """Cut an image's blocks so that none lies in two chunks; the others pass as they are."""
    left = chunk_bytes
    async for block in image:
        rest = block
        while len(rest) > left:
            yield rest[:left]
            rest, left = rest[left:], chunk_bytes
        if rest:
            yield rest
        left = left - len(rest) or chunk_bytes


async def _send(queue: asyncio.Queue[bytes | None], pieces: list[bytes]) -> None:
    for piece in pieces:
        await queue.put(piece)


async def _until_none(queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (piece := await queue.get()) is not None:
        yield piece


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that a group is about."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
