"""How many checkpoints and segments of the log stay, as the options say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.waiting import WAIT_S_MAX

from decube.store.embedded import EmbeddedOptions, EmbeddedStore
from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from pathlib import Path

SMALL = 1 << 16


@pytest.mark.parametrize(("kept", "segments_max"), [(1, 0), (3, 2)])
async def test_no_more_files_stay_than_asked_for(
    tmp_path: Path, kept: int, segments_max: int
) -> None:
    options = EmbeddedOptions(
        log_dir=tmp_path,
        segment_bytes=SMALL,
        checkpoint_bytes_min=SMALL,
        checkpoints_kept=kept,
        # None is any number; what holds a single byte at most is none.
        covered_segments_max=segments_max or None,
        log_retention_bytes=1 << 30 if segments_max else 0,
    )
    store = await EmbeddedStore.open(options)

    def count(suffix: str) -> int:
        return len(list(tmp_path.glob(f"*{suffix}")))

    async def settled() -> None:
        # One segment is written; the newest checkpoint may not cover the one before it yet.
        async with asyncio.timeout(WAIT_S_MAX):
            while count(".checkpoint") != kept or count(".log") > segments_max + 2:
                await write(1)
                await asyncio.sleep(0.05)

    async def write(times: int) -> None:
        for _ in range(times):
            await store.txn(Txn(success=(Put(b"k", b"x" * (SMALL // 2)),)))
            await store.compact((await store.status()).revision)

    try:
        await write(20)
        await settled()
        assert count(".log") >= 1
    finally:
        await store.close()
