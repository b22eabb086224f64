"""`kill -9` at any moment under load loses nothing that was acknowledged.

Each round kills the server's process at a random moment while clients write, starts it again on the
same data, and holds what it has against what the clients were told. The rounds share one data
directory, so that recovery is also tried on what earlier recoveries left.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from tests.support.acknowledged_load import AcknowledgedLoad, Follower, Ledger, read_all
from tests.support.peers import peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import NodeProcess

READY_SECONDS_MAX = 30.0
WRITES_BEFORE_KILL = 100
EXTRA_WRITES_MAX = 97


async def kill_under_load(node: NodeProcess, ledger: Ledger, follower: Follower) -> None:
    """Start the node, load it, kill it at a random moment, and let the clients notice."""
    node.ensure_started()
    wanted = ledger.writes + WRITES_BEFORE_KILL
    async with asyncio.timeout(READY_SECONDS_MAX), asyncio.TaskGroup() as tasks:
        tasks.create_task(AcknowledgedLoad(ledger).run(node.etcd_address, node.starts))
        tasks.create_task(follower.follow(node.etcd_address))
        await ledger.wait_until_written(wanted)
        # A moment that depends on how the writes happened to run: anywhere in a group commit.
        await ledger.wait_until_written(wanted + ledger.writes % EXTRA_WRITES_MAX)
        node.kill()


async def check_after_restart(node: NodeProcess, ledger: Ledger, follower: Follower) -> None:
    """Start the node again and hold its data, its revision and its watch against the ledger."""
    node.ensure_started()
    found, revision = await read_all(node.etcd_address)
    assert ledger.losses(found) == []
    assert revision >= ledger.revision, "an acknowledged revision was forgotten"
    async with asyncio.timeout(READY_SECONDS_MAX):
        await follower.follow(node.etcd_address, until=ledger.revision)
    ledger.settle(found)


async def crash_rounds(node: NodeProcess, rounds: int) -> None:
    """Crash, restart and check that many times; then hold the watch against the whole history."""
    ledger, follower = Ledger(), Follower()
    for _ in range(rounds):
        await kill_under_load(node, ledger, follower)
        await check_after_restart(node, ledger, follower)
        node.kill()
    node.ensure_started()
    fresh = Follower()
    async with asyncio.timeout(READY_SECONDS_MAX):
        await fresh.follow(node.etcd_address, until=ledger.revision)
    resumed, whole = follower.seen_through(ledger.revision), fresh.seen_through(ledger.revision)
    assert resumed == whole, "a resumed watch lost, repeated or reordered an event"
    assert ledger.writes >= rounds * WRITES_BEFORE_KILL


@pytest.mark.timeout(400)
async def test_thirty_kills_lose_nothing_acknowledged(node: NodeProcess) -> None:
    await crash_rounds(node, rounds=30)


@pytest.mark.slow
@pytest.mark.timeout(4000)
async def test_three_hundred_kills_lose_nothing_acknowledged(node: NodeProcess) -> None:
    await crash_rounds(node, rounds=300)


async def test_a_kill_under_etcds_own_benchmark_loses_nothing(
    node: NodeProcess, tmp_path: Path
) -> None:
    node.ensure_started()
    ledger, follower = Ledger(), Follower()
    with (tmp_path / "benchmark.log").open("wb") as log:
        load = await asyncio.create_subprocess_exec(
            peer("benchmark"), f"--endpoints={node.etcd_address}", "--conns=10", "--clients=100",
            "put", "--total=10000000", "--val-size=256", "--key-space-size=100000",
            stdout=log, stderr=log, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        try:
            await kill_under_load(node, ledger, follower)
        finally:
            load.kill()
            await load.wait()
    await check_after_restart(node, ledger, follower)
