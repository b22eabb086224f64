"""A node under everything that clients do, for an hour: what it holds does not grow.

Restarts come in the first quarter, by SIGTERM and by `kill -9` in turn. Then one process runs
through the other three, with compactions and snapshots, and shows what it gathers; one more restart
ends the run. `SOAK_MINUTES` sets another length than the hour.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import httpx2
import pytest
from tests.support.growth import Resources, Series, resources
from tests.support.mixed_load import PREFIX, PREFIX_END, MixedLoad

from decube.pb.etcd import rpc_pb2, rpc_pb2_grpc

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

LOG = logging.getLogger(__name__)
MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
SAMPLES = 400
KEPT_REVISIONS = 1_000
# So that the log's old segments go within the run, as they do within days.
SHORT_LOG = {"DECUBE_STORE_LOG_RETENTION_BYTES": "0", "DECUBE_SNAPSHOT_ENABLED": "false"}


@dataclass(frozen=True)
class Plan:
    """How long to run, and the distances between things."""

    seconds: float
    pause_s: float
    restarts: int
    # The system's allocator keeps what the threads of the first ones took.
    snapshots_first: int = 0

    @property
    def sample_s(self) -> float:
        return self.seconds / SAMPLES

    @property
    def restart_s(self) -> float:
        """Restarts, and the calm after the last one, fill the first quarter."""
        return self.seconds / 4 / (self.restarts + 1)

    @property
    def compact_s(self) -> float:
        return max(self.seconds / 120, 0.5)

    @property
    def snapshot_s(self) -> float:
        return max(self.seconds / 60, 1.0)


async def compact(node: NodeProcess, plan: Plan) -> None:
    """Forget all history but the last, again and again."""
    while True:
        await asyncio.sleep(plan.compact_s)
        async with grpc.aio.insecure_channel(node.etcd_address) as channel:
            kv = rpc_pb2_grpc.KVStub(channel)
            head = await kv.Range(rpc_pb2.RangeRequest(key=b"any"), wait_for_ready=True)
            revision = head.header.revision - KEPT_REVISIONS
            if revision > 0:
                await kv.Compact(rpc_pb2.CompactionRequest(revision=revision))


async def snapshot(node: NodeProcess, plan: Plan) -> None:
    """Take snapshots and delete them, again and again."""
    while True:
        await asyncio.sleep(plan.snapshot_s)
        await snapshot_once(node)


async def snapshot_once(node: NodeProcess) -> None:
    """Take a snapshot and delete it."""
    base = f"http://{node.rest_address}/api/v1/snapshots"
    async with httpx2.AsyncClient(timeout=60.0) as client:
        made = (await client.post(base)).raise_for_status()
        name = made.json()["snapshot"]["id"]
        (await client.delete(f"{base}/{name}")).raise_for_status()


async def restart_often(node: NodeProcess, plan: Plan) -> None:
    """Let the first quarter pass, with its restarts."""
    for number in range(plan.restarts):
        await asyncio.sleep(plan.restart_s)
        if number % 2:
            node.kill()
        else:
            assert await asyncio.to_thread(node.stop) == 0
        await asyncio.to_thread(node.ensure_started)
    await asyncio.sleep(plan.restart_s)
    for _ in range(plan.snapshots_first):
        await snapshot_once(node)


async def sampled(node: NodeProcess, plan: Plan, series: Series) -> None:
    """Sample the last three quarters; what comes before them is not looked at."""
    series.samples += [Resources(0, 0, 0)] * (SAMPLES // 4)
    for _ in range(SAMPLES * 3 // 4):
        await asyncio.sleep(plan.sample_s)
        series.samples.append(resources(node.pid))


async def soak(node: NodeProcess, plan: Plan, *, tidy: bool = True) -> Series:
    """Run all of it; what the node held."""
    node.environment = {**node.environment, **SHORT_LOG}
    node.ensure_started()
    load, series = MixedLoad(node, pause_s=plan.pause_s, tidy=tidy), Series()
    async with asyncio.TaskGroup() as tasks:
        loading = tasks.create_task(load.run())
        await restart_often(node, plan)
        load.cut_off.clear()
        chores = [tasks.create_task(chore(node, plan)) for chore in (compact, snapshot)]
        await sampled(node, plan, series)
        for task in (loading, *chores):
            task.cancel()
    assert load.cut_off == [], "calls failed though nothing restarted"
    assert load.steps > plan.seconds, "the load stood still"
    return series


async def count(node: NodeProcess) -> int:
    async with grpc.aio.insecure_channel(node.etcd_address) as channel:
        everything = rpc_pb2.RangeRequest(key=PREFIX, range_end=PREFIX_END, count_only=True)
        answer = await rpc_pb2_grpc.KVStub(channel).Range(everything, wait_for_ready=True)
    return int(answer.count)


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 300)
async def test_an_hour_of_everything_leaves_memory_and_descriptors_flat(node: NodeProcess) -> None:
    series = await soak(node, Plan(MINUTES * 60, pause_s=0.05, restarts=6, snapshots_first=100))
    keys = await count(node)
    node.kill()
    node.ensure_started()
    assert await count(node) == keys
    LOG.info("second quarter: %s; last: %s", series.quarter(1), series.quarter(3))
    assert series.complaints() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_clients_that_leave_things_behind_are_noticed(node: NodeProcess) -> None:
    series = await soak(node, Plan(60.0, pause_s=0.05, restarts=1), tidy=False)
    named = {complaint.split(maxsplit=1)[0] for complaint in series.complaints()}
    assert named == {"memory_bytes", "descriptors"}


@pytest.mark.timeout(300)
async def test_a_moment_of_everything_fails_no_call(node: NodeProcess) -> None:
    await soak(node, Plan(8.0, pause_s=0.05, restarts=2))
