"""Lets a stream run a little ahead of its consumer, so that both sides work at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

PIECES_AHEAD: Final = 4


class _End(NamedTuple):
    """What comes behind the last piece."""

    error: Exception | None


@asynccontextmanager
async def read_ahead(pieces: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Read a stream from a task of its own; its error comes behind its last piece."""
    queue: asyncio.Queue[bytes | _End] = asyncio.Queue(PIECES_AHEAD)

    async def fill() -> None:
        error = None
        try:
            async for piece in pieces:
                await queue.put(piece)
        except Exception as failure:  # noqa: BLE001 - raised where the pieces are taken
            error = failure
        await queue.put(_End(error))

    async def take() -> AsyncGenerator[bytes, None]:
        while not isinstance(piece := await queue.get(), _End):
            yield piece
        if piece.error is not None:
            raise piece.error

    filling = asyncio.create_task(fill(), name="snapshot-read-ahead")
    try:
        yield take()
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
