"""Leases by the hundred thousand: what idle ones cost, when they end, what their end holds up."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from typing import TYPE_CHECKING

from decube.store.remote import RemoteOptions, RemoteStore
from decube.store.types import KeyRange, LeaseId, Put, Txn, WatchRequest
from tools.bench import processes
from tools.bench.figures import Bench, Section
from tools.bench.programs import FailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from decube.store.protocol import Store
    from decube.store.types import WatchBatch

LIVE = 100_000
LIVE_TTL_S = 3600
IDLE_WINDOW_S = 10.0
TIMED = 1_000
TIMED_TTL_S = 5
TOGETHER = 10_000
WRITERS = 8
QUIET_WINDOW_S = 5.0
CALLS_AT_ONCE = 256
PUTS_A_TXN = 100
MS = 1000


async def in_parallel(total: int, call: Callable[[int], Awaitable[None]]) -> None:
    """Make that many calls, a bounded number of them at once."""
    numbers = iter(range(total))

    async def worker() -> None:
        for number in numbers:
            await call(number)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLS_AT_ONCE):
            tasks.create_task(worker())


async def grant(store: Store, prefix: bytes, total: int, ttl_s: Callable[[], int]) -> list[LeaseId]:
    """Grant leases and attach a key to each."""
    leases: list[LeaseId] = []

    async def one(_number: int) -> None:
        leases.append((await store.lease_grant(ttl_s())).id)

    await in_parallel(total, one)

    async def attach(number: int) -> None:
        some = leases[number * PUTS_A_TXN : (number + 1) * PUTS_A_TXN]
        puts = tuple(Put(prefix + b"%016x" % lease, b"x" * 64, lease) for lease in some)
        await store.txn(Txn(success=puts))

    await in_parallel(-(-total // PUTS_A_TXN), attach)
    return leases


async def idle_cpu(server: processes.Server) -> float:
    """Measure the share of one processor that the server uses when nobody calls."""
    await asyncio.sleep(2.0)
    before, began_s = server.cpu_s(), time.monotonic()
    await asyncio.sleep(IDLE_WINDOW_S)
    return (server.cpu_s() - before) / (time.monotonic() - began_s)


async def lateness_s(store: Store) -> list[float]:
    """Measure how long after its time each lease's key is seen to go, oldest first."""
    due_s: dict[bytes, float] = {}
    prefix = b"timed/"

    async def one(_number: int) -> None:
        sent_s = time.monotonic()
        lease = await store.lease_grant(TIMED_TTL_S)
        key = prefix + b"%016x" % lease.id
        await store.txn(Txn(success=(Put(key, b"x", lease.id),)))
        due_s[key] = sent_s + lease.ttl_s

    late: list[float] = []
    async with store.watch(WatchRequest(range=KeyRange.prefix(prefix))) as batches:
        await in_parallel(TIMED, one)
        async for batch in batches:
            seen_s = time.monotonic()
            late += [seen_s - due_s[event.kv.key] for event in batch.events if event.deleted]
            if len(late) >= TIMED:
                break
    return sorted(late)


async def put_latencies_s(store: Store, until: Callable[[], bool]) -> list[float]:
    """Write from several clients at once until told; the latency of every put."""
    latencies: list[float] = []
    numbers = itertools.count()

    async def writer() -> None:
        while not until():
            began_s = time.monotonic()
            key = b"load/%06d" % (next(numbers) % 10_000)
            await store.txn(Txn(success=(Put(key, b"x" * 256),)))
            latencies.append(time.monotonic() - began_s)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(writer())
    return latencies


async def ended_together(store: Store, together: int) -> tuple[float, float, float]:
    """Let many leases end in one second: p99 of puts before and meanwhile, and how long it took."""
    end_s = time.monotonic() + 2 * QUIET_WINDOW_S + together / 400
    prefix = b"together/"
    # Each gets the whole seconds that are left, so that all end in the second that begins then.
    await grant(store, prefix, together, lambda: round(end_s - time.monotonic()) + 1)
    lead_s = end_s - QUIET_WINDOW_S - 1.0 - time.monotonic()
    if lead_s < 0:
        raise FailedError(f"granting {together} leases took {-lead_s:.1f} s too long")
    await asyncio.sleep(lead_s)
    quiet_end_s = time.monotonic() + QUIET_WINDOW_S
    before = await put_latencies_s(store, lambda: time.monotonic() > quiet_end_s)
    gone = 0
    first_s = last_s = 0.0

    async def count(batches: AsyncIterator[WatchBatch]) -> None:
        nonlocal gone, first_s, last_s
        async for batch in batches:
            gone += sum(event.deleted for event in batch.events)
            last_s = time.monotonic()
            first_s = first_s or last_s
            if gone >= together:
                return

    async with store.watch(WatchRequest(range=KeyRange.prefix(prefix))) as batches:
        counting = asyncio.create_task(count(batches))
        meanwhile = await put_latencies_s(store, counting.done)
        await counting
    return p99(before), p99(meanwhile), last_s - first_s


def p99(latencies: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(latencies, n=100)[-1]


async def measured(server: processes.Server, bench: Bench) -> list[str]:
    """Measure one node; the lines of the page."""
    live, together = bench.sized(LIVE), bench.sized(TOGETHER)
    options = RemoteOptions(endpoints=(server.address("etcd"),), request_timeout_s=60.0)
    store = await RemoteStore.connect(options)
    try:
        empty = await idle_cpu(server)
        await grant(store, b"live/", live, lambda: LIVE_TTL_S)
        full = await idle_cpu(server)
        late = await lateness_s(store)
        before, meanwhile, took_s = await ended_together(store, together)
    finally:
        await store.close()
    idle = f"idle with {live:,} live leases: {full:.1%} of one processor; without any: {empty:.1%}"
    ends = f"{TIMED:,} more, how late their keys were seen to go: p50 {late[TIMED // 2]:.2f} s, "
    puts = f"puts while {together:,} leases end in one second (in {took_s:.1f} s): p99 "
    puts += f"{meanwhile * MS:.1f} ms, before {before * MS:.1f} ms; {meanwhile / before:.1f}x"
    return [
        f"- {idle} (wanted: under 2 %)",
        f"- {ends}at most {late[-1]:.2f} s (wanted: within 1 s)",
        f"- {puts} (wanted: at most 3x)",
    ]


def measure(bench: Bench) -> Section:
    """Measure a node on an empty directory."""
    with processes.decube(bench.directory / "decube") as server:
        return Section("Leases", lines=asyncio.run(measured(server, bench)))
