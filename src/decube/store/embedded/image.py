"""An image of the embedded store, read from the engine a piece at a time on a worker thread."""

from __future__ import annotations

import asyncio
from typing import Self

from decube import _native
from decube.store.embedded.errors import translate
from decube.store.types import Revision

PIECE_BYTES = 1024 * 1024


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

    async def close(self) -> None:
        """Let go of what the engine keeps for it."""
        await asyncio.to_thread(self._native.close)
