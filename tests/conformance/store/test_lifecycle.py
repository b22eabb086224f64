"""Many callers at once, callers that give up, and the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.stores import WAIT_S_MAX, take_events

from decube.kit.errors import Closed
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    KeyRange,
    Put,
    RangeRequest,
    RangeResult,
    Txn,
)

if TYPE_CHECKING:
    from tests.support.stores import Scene


async def test_status_tells_what_the_store_is(scene: Scene) -> None:
    revision = await scene.put("a", b"x" * 1000)
    status = await scene.store.status()
    assert status.backend == ("etcd" if scene.backend.startswith("remote") else scene.backend)
    assert status.revision == revision
    assert status.version
    assert status.db_size_bytes >= status.db_size_in_use_bytes > 0
    assert status.cluster_id > 0
    assert status.member_id > 0


async def test_concurrent_increments_are_all_counted(scene: Scene) -> None:
    await scene.put("n", b"0")

    async def increment() -> None:
        while True:
            found = await scene.get("n")
            assert found is not None
            unchanged = Compare(
                KeyRange(found.key),
                CompareTarget.MOD_REVISION,
                CompareOperator.EQUAL,
                found.mod_revision,
            )
            put = Put(found.key, b"%d" % (int(found.value) + 1))
            if (await scene.store.txn(Txn(compares=(unchanged,), success=(put,)))).succeeded:
                return

    async with asyncio.timeout(WAIT_S_MAX):
        await asyncio.gather(*(increment() for _ in range(20)))
    found = await scene.get("n")
    assert found is not None
    assert (found.value, found.version) == (b"20", 21)


async def test_every_write_gets_a_revision_of_its_own(scene: Scene) -> None:
    first = await scene.put("a")
    revisions = await asyncio.gather(*(scene.put(f"{n}") for n in range(500)))
    assert sorted(revisions) == list(range(first + 1, first + 501))


async def test_a_read_after_a_write_sees_it(scene: Scene) -> None:
    async def write_then_read(name: str) -> None:
        for number in range(20):
            revision = await scene.put(name, b"%d" % number)
            found = await scene.get(name)
            assert found is not None
            assert found.mod_revision == revision

    await asyncio.gather(*(write_then_read(f"{n}") for n in range(10)))


async def test_a_reader_never_sees_half_a_transaction(scene: Scene) -> None:
    async def write() -> None:
        for number in range(50):
            await scene.do(*(Put(scene.key(name), b"%d" % number) for name in "abc"))

    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(write())
        while not writer.done():
            values = {kv.value for kv in (await scene.list()).kvs}
            assert len(values) <= 1


async def test_a_cancelled_write_happens_wholly_or_not_at_all(scene: Scene) -> None:
    for number in range(60):
        value = b"%d" % number
        write = asyncio.create_task(
            scene.do(*(Put(scene.key(name), value) for name in ("a", "b", "c")))
        )
        for _ in range(number % 6):
            await asyncio.sleep(0)
        write.cancel()
        await asyncio.wait([write])
        assert write.cancelled() or write.exception() is None
    read = await scene.do(RangeRequest(range=scene.all))
    (found,) = read.results
    assert isinstance(found, RangeResult)
    assert len({(kv.value, kv.mod_revision) for kv in found.kvs}) <= 1
    assert found.count in {0, 3}


async def test_a_cancelled_read_leaves_the_store_usable(scene: Scene) -> None:
    await scene.put("a")
    for number in range(30):
        read = asyncio.create_task(scene.list())
        for _ in range(number % 5):
            await asyncio.sleep(0)
        read.cancel()
        await asyncio.wait([read])
    assert (await scene.list()).count == 1


async def test_a_closed_store_refuses_every_call(scene: Scene) -> None:
    revision = await scene.put("a")
    lease = await scene.store.lease_grant(600)
    await scene.store.lease_revoke(lease.id)
    await scene.store.close()
    await scene.store.close()
    for call in (
        scene.get("a"),
        scene.list(),
        scene.put("a"),
        scene.store.lease_grant(10),
        scene.store.lease_keep_alive(lease.id),
        scene.store.lease_revoke(lease.id),
        scene.store.lease_status(lease.id),
        scene.store.leases(),
        scene.store.compact(revision),
        scene.store.status(),
    ):
        with pytest.raises(Closed):
            await call
    with pytest.raises(Closed):
        async with scene.watch():
            pass


async def test_closing_ends_a_watch_that_waits(scene: Scene) -> None:
    async with scene.watch() as batches:
        waiting = asyncio.create_task(take_events(batches, 1))
        await asyncio.sleep(0.05)
        await scene.store.close()
        with pytest.raises(Closed):
            await waiting
        with pytest.raises(Closed):
            await anext(batches)


async def test_closing_under_load_answers_every_call(scene: Scene) -> None:
    writes = [asyncio.create_task(scene.put(f"{n}")) for n in range(200)]
    await scene.put("a")
    await scene.store.close()
    async with asyncio.timeout(WAIT_S_MAX):
        results = await asyncio.gather(*writes, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(failure, Closed) for failure in failures)


async def test_closing_leaves_no_task_behind(scene: Scene) -> None:
    before = asyncio.all_tasks()
    async with scene.watch(progress=True) as watched, scene.watch() as left:
        await scene.put("a")
        await take_events(watched, 1)
        waiting = asyncio.create_task(take_events(left, 2))
        calls = [asyncio.create_task(scene.list()) for _ in range(10)]
        await asyncio.sleep(0)
        await scene.store.close()
        await asyncio.wait([waiting, *calls])
        assert isinstance(waiting.exception(), Closed)
        for call in calls:
            # Retrieved, so that nothing complains about it later.
            assert call.exception() is None or isinstance(call.exception(), Closed)
    # gRPC's own end a moment later.
    if ending := asyncio.all_tasks() - before:
        await asyncio.wait(ending, timeout=WAIT_S_MAX)
    assert asyncio.all_tasks() == before
