"""Images of the embedded store, out of it and into it, a piece at a time on a worker thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from decube import _native
from decube.store.embedded.errors import translate
from decube.store.image_files import FilePart
from decube.store.types import CancelledTooLate, Revision

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Coroutine
    from pathlib import Path

    from decube.store.image_files import ImageFile, ImagePiece

T = TypeVar("T")

PIECE_BYTES = 2 * 1024 * 1024


class EmbeddedImage:
    """A `StoreImage`. Made and closed by the store."""

    def __init__(self, native: _native.Image) -> None:
        self._native = native
        self.revision = Revision(native.revision)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await asyncio.to_thread(self._native.take, PIECE_BYTES)
        except _native.StoreError as error:
            raise translate(error) from None
        if not piece:
            raise StopAsyncIteration
        return piece

    async def write_file(self, path: Path, bytes_max: int) -> FilePart:
        """Write the next bytes to a file; see `ImageForFiles.write_file`."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._native.write_file, path, bytes_max))
        try:
            return FilePart(*await asyncio.shield(writing))
        except asyncio.CancelledError:
            await self.close()
            await asyncio.gather(writing, return_exceptions=True)
            raise
        except _native.StoreError as error:
            raise translate(error) from None

    async def sha256(self) -> str:
        """Digest what was written to files; see `ImageForFiles.sha256`."""
        try:
            return await asyncio.to_thread(self._native.sha256)
        except _native.StoreError as error:
            raise translate(error) from None

    async def close(self) -> None:
        """Let go of what the engine keeps for it."""
        await asyncio.to_thread(self._native.close)


async def install_image(
    engine: _native.Engine, mode: Literal["restore", "reseed"], pieces: AsyncIterable[ImagePiece]
) -> Revision:
    """Install an image; what the extension module raises goes through.

    A file is read ahead while the one before it is installed.
    """
    installer = await asyncio.to_thread(engine.open_installer, mode)
    expected: ImageFile | None = None
    try:
        async for piece in pieces:
            if not isinstance(piece, bytes):
                await _expect(installer, piece)
            if expected is not None:
                await _push_file(installer, expected)
                expected = None
            if isinstance(piece, bytes):
                await asyncio.to_thread(installer.push, piece)
            else:
                expected = piece
        if expected is not None:
            await _push_file(installer, expected)
        return await uninterrupted(asyncio.to_thread(lambda: Revision(installer.commit()[0])))
    finally:
        await asyncio.to_thread(installer.close)


async def _expect(installer: _native.ImageInstaller, file: ImageFile) -> None:
    try:
        await asyncio.to_thread(installer.expect_file, file.path, file.size_bytes, file.digested)
    except OSError as error:
        raise file.unreadable(error) from error


async def _push_file(installer: _native.ImageInstaller, file: ImageFile) -> None:
    try:
        read = await asyncio.to_thread(installer.push_file)
    except OSError as error:
        raise file.unreadable(error) from error
    file.finish(*read)


async def uninterrupted(call: Coroutine[None, None, T]) -> T:
    """Await what cannot be taken back once it has begun.

    Whoever is cancelled meanwhile, however often, hears so when it is done, as `CancelledTooLate`
    if it went well: nobody may go on as if it was not, close the store under it, or begin another.
    """
    running = asyncio.ensure_future(call)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return running.result()
    if running.exception() is not None:
        raise cancelled
    raise CancelledTooLate(running.result()) from None
