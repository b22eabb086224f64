"""A stream that runs ahead loses nothing, and ends with its consumer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.snapshots import gathered, stream
from tests.support.stores import WAIT_S_MAX

from decube.kit.errors import Corrupt
from decube.services.snapshots.read_ahead import PIECES_AHEAD, read_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def test_all_pieces_come_in_order() -> None:
    content = bytes(range(256)) * 10
    async with read_ahead(stream(content, 7)) as ahead:
        assert await gathered(ahead) == content


async def test_an_error_comes_behind_the_pieces_before_it() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise Corrupt("damaged")

    async with read_ahead(failing()) as ahead:
        assert await anext(ahead) == b"a"
        with pytest.raises(Corrupt, match="damaged"):
            await anext(ahead)


async def test_it_runs_ahead_by_a_few_pieces_and_ends_with_its_consumer() -> None:
    read = 0
    is_ahead = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            if read > PIECES_AHEAD:
                is_ahead.set()
            yield b"x"

    async with asyncio.timeout(WAIT_S_MAX):
        async with read_ahead(endless()) as ahead:
            await anext(ahead)
            await is_ahead.wait()
        assert read <= PIECES_AHEAD + 2
