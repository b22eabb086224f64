"""Writes an image as chunks that are files of this machine and parts of it as they are.

The core makes, digests and writes each of them with threads of its own: nothing passes through
Python. The next one is filled while the one before it is still being made durable.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from decube.services.snapshots.manifest import ChunkEntry, chunk_name
from decube.services.snapshots.writing import CHUNKS_IN_FLIGHT, Written, first_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from decube.services.snapshots.location import LocalFiles
    from decube.store.image_files import ImageForFiles


async def write_files(
    files: LocalFiles,
    folder: str,
    image: ImageForFiles,
    chunk_bytes: int,
    on_progress: Callable[[int, int], None],
) -> Written:
    """Write an image's chunks below `folder`; see `write_image`."""
    writer = _Writer(files, image, chunk_bytes, on_progress)
    try:
        async with asyncio.TaskGroup() as tasks:
            await writer.run(folder, tasks)
    except BaseExceptionGroup as group:
        raise first_of(group) from group
    return Written(writer.size_bytes, await image.sha256(), tuple(writer.chunks))


class _Writer:
    def __init__(
        self,
        files: LocalFiles,
        image: ImageForFiles,
        chunk_bytes: int,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._files = files
        self._image = image
        self._chunk_bytes = chunk_bytes
        self._on_progress = on_progress
        self._slots = asyncio.Semaphore(CHUNKS_IN_FLIGHT)
        self.chunks: list[ChunkEntry] = []
        self.size_bytes = 0
        self._durable = 0
        self._ended = False

    async def run(self, folder: str, tasks: asyncio.TaskGroup) -> None:
        while not self._ended:
            await self._slots.acquire()
            name, filled = chunk_name(len(self.chunks)), asyncio.Event()
            tasks.create_task(self._store(folder, name, filled), name="snapshot-chunk")
            await filled.wait()

    async def _store(self, folder: str, name: str, filled: asyncio.Event) -> None:
        async def fill(path: Path) -> None:
            part = await self._image.write_file(path, self._chunk_bytes)
            size = part.size_bytes
            self.chunks.append(ChunkEntry(name, size, size, part.sha256))
            self.size_bytes += size
            self._ended = part.last
            self._on_progress(self.size_bytes, self._durable)
            filled.set()

        await self._files.fill(f"{folder}/{name}", fill)
        self._durable += 1
        self._on_progress(self.size_bytes, self._durable)
        self._slots.release()
