"""The log of a store that does not run, entry by entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.stores import Scene, embedded

from decube.kit.errors import Unavailable
from decube.store.embedded.log import Compaction, LeaseEnd, LeaseGrant, LogEntry, Write, read_log

if TYPE_CHECKING:
    from pathlib import Path


def read(log_dir: Path) -> list[LogEntry]:
    entries: list[LogEntry] = []
    read_log(log_dir, entries.append)
    return entries


async def test_the_log_tells_every_change_and_the_revision_after_it(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        scene = Scene(store, "embedded", b"")
        lease = (await store.lease_grant(60)).id
        await scene.put("a", b"1", lease=lease)
        await store.lease_revoke(lease)
        await store.compact(await scene.put("b", b"2"))
    granted, put, ended, _, compacted = read(tmp_path)
    assert isinstance(granted.logged, LeaseGrant)
    assert (granted.revision, granted.logged.lease, granted.logged.ttl_s) == (1, lease, 60)
    assert isinstance(put.logged, Write)
    (change,) = put.logged.changes
    assert (change.kv.key, change.kv.value, change.kv.lease) == (b"a", b"1", lease)
    assert (put.sequence, put.revision, change.deleted) == (2, 2, False)
    assert (ended.revision, ended.logged) == (3, LeaseEnd(lease))
    assert compacted.logged == Compaction(compacted.revision)


async def test_entries_come_in_pieces_and_in_order(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        scene = Scene(store, "embedded", b"")
        for number in range(1_100):
            await scene.put(f"{number}")
    assert [entry.sequence for entry in read(tmp_path)] == list(range(1, 1_101))


async def test_the_log_of_a_running_store_is_left_alone(tmp_path: Path) -> None:
    async with embedded(tmp_path):
        with pytest.raises(Unavailable):
            read(tmp_path)
    assert read(tmp_path) == []
