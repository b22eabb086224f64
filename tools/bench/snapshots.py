"""A snapshot of a million keys, and back: beside what the disk itself takes for the same bytes."""

from __future__ import annotations

import asyncio
import os
import time
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2

from decube.store.remote import RemoteOptions, RemoteStore
from decube.store.types import Put, Txn
from tools.bench import processes
from tools.bench.figures import Bench, Section
from tools.bench.leases import MS, in_parallel, p99, put_latencies_s

if TYPE_CHECKING:
    from pathlib import Path

    from decube.store.protocol import Store

KEYS = 1_000_000
VALUE_BYTES = 512
PUTS_A_TXN = 100
ROUNDS = 3
PIECE_BYTES = 1 << 20
CALL_SECONDS_MAX = 600.0
QUIET_WINDOW_S = 10.0
SNAPSHOTS = "/api/v1/snapshots"


class Taken(NamedTuple):
    """One snapshot: how long it took, what it is, and by how much memory peaked above before."""

    seconds: float
    snapshot: dict[str, Any]
    growth_bytes: int


async def load(store: Store, begin: int, end: int) -> None:
    """Write keys that do not compress."""
    values = os.urandom(VALUE_BYTES + PUTS_A_TXN)

    async def some(number: int) -> None:
        first = begin + number * PUTS_A_TXN
        puts = tuple(
            Put(b"bench/%012d" % (first + n), values[n : n + VALUE_BYTES])
            for n in range(PUTS_A_TXN)
        )
        await store.txn(Txn(success=puts))

    await in_parallel(-(-(end - begin) // PUTS_A_TXN), some)


def plain_write_s(directory: Path, size_bytes: int) -> float:
    """Write and sync as many bytes to a file of the same disk, in order."""
    piece = os.urandom(PIECE_BYTES)
    path = directory / "plain"
    began_s = time.monotonic()
    with path.open("wb") as file:
        for _ in range(size_bytes // PIECE_BYTES + 1):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    took_s = time.monotonic() - began_s
    path.unlink()
    return took_s


async def take(server: processes.Server, client: httpx2.AsyncClient) -> Taken:
    """Take a snapshot."""
    before = server.reset_peak_memory()
    began_s = time.monotonic()
    answer = await client.post(SNAPSHOTS)
    answer.raise_for_status()
    took_s = time.monotonic() - began_s
    return Taken(took_s, answer.json()["snapshot"], server.peak_memory_bytes() - before)


async def drop(client: httpx2.AsyncClient, taken: Taken) -> None:
    """Delete a snapshot, so that the disk is as it was."""
    (await client.delete(f"{SNAPSHOTS}/{taken.snapshot['id']}")).raise_for_status()


async def put_back_s(client: httpx2.AsyncClient, taken: Taken) -> float:
    """Restore a snapshot in place."""
    began_s = time.monotonic()
    (await client.post(f"{SNAPSHOTS}/{taken.snapshot['id']}/restore")).raise_for_status()
    return time.monotonic() - began_s


async def disturbed(
    server: processes.Server, client: httpx2.AsyncClient, store: Store
) -> tuple[float, float]:
    """Measure the p99 of puts without a snapshot, and while one is taken."""
    quiet_end_s = time.monotonic() + QUIET_WINDOW_S
    quiet = await put_latencies_s(store, lambda: time.monotonic() > quiet_end_s)
    taking = asyncio.create_task(take(server, client))
    meanwhile = await put_latencies_s(store, taking.done)
    await drop(client, await taking)
    return p99(quiet), p99(meanwhile)


async def measured(server: processes.Server, directory: Path, keys: int) -> list[str]:
    """Measure one node; the lines of the page."""
    options = RemoteOptions(endpoints=(server.address("etcd"),), request_timeout_s=60.0)
    base = f"http://{server.address('rest')}"
    store = await RemoteStore.connect(options)
    try:
        async with httpx2.AsyncClient(base_url=base, timeout=CALL_SECONDS_MAX) as client:
            await load(store, 0, keys // 10)
            small = await take(server, client)
            await drop(client, small)
            await load(store, keys // 10, keys)
            rounds = []
            for _ in range(ROUNDS):
                taken = await take(server, client)
                plain_s = await asyncio.to_thread(
                    plain_write_s, directory, taken.snapshot["size_bytes"]
                )
                back_s = await put_back_s(client, taken)
                rounds.append((plain_s, taken.seconds, back_s))
                await drop(client, taken)
            quiet, meanwhile = await disturbed(server, client, store)
    finally:
        await store.close()
    plain_s, took_s, back_s = (median(times) for times in zip(*rounds, strict=True))
    to_plain = median(took / plain for plain, took, _ in rounds)
    to_taking = median(back / took for _, took, back in rounds)
    size_mb = taken.snapshot["size_bytes"] / 1e6
    what = f"snapshot of {keys:,} keys of {VALUE_BYTES} B ({size_mb:.0f} MB), not compressed"
    disk = f"the same bytes written and synced: {plain_s:.2f} s; {to_plain:.2f}x"
    restore = f"its restore in place: {back_s:.2f} s; {to_taking:.2f}x of taking it"
    unchanged = "nothing changed in between"
    memory = f"memory while it is taken: {taken.growth_bytes / 1e6:.0f} MB more than before; "
    memory += f"with a tenth of the keys {small.growth_bytes / 1e6:.0f} MB"
    puts = f"puts meanwhile: p99 {meanwhile * MS:.1f} ms, without {quiet * MS:.1f} ms"
    return [
        f"- {what}: {took_s:.2f} s; {disk} (wanted: at most 2x)",
        f"- {restore} ({unchanged}; wanted: at most 1x)",
        f"- {memory} (wanted: no growth with the store)",
        f"- {puts}; {meanwhile / quiet:.1f}x (wanted: at most 3x)",
    ]


def measure(bench: Bench) -> Section:
    """Measure a node on an empty directory."""
    settings = {"DECUBE_SNAPSHOT_ENABLED": "false", "DECUBE_SNAPSHOT_COMPRESSION": "false"}
    with processes.decube(bench.directory / "decube", **settings) as server:
        return Section(
            "Snapshots",
            lines=asyncio.run(measured(server, bench.directory, bench.sized(KEYS))),
        )
