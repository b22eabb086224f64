"""Stores that grow to millions of objects, side by side: rates, memory, the disk, restarts.

Both servers run at once, so that each step is measured on both in turn; the one that waits is idle.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tools.bench import interference, processes, restarts
from tools.bench.figures import Bench, Figure, Row, Sample, Section, median
from tools.bench.programs import kubeload, sample

if TYPE_CHECKING:
    from tools.bench.processes import Server

ABOUT = """\
Objects of 70 + 512 bytes. Puts are updates spread over all objects, 300 clients over 50
connections. Disk bytes are what the kernel counts for the process, a whole checkpoint too where one
began in the short window; over many puts, and for a bulk load, they are shared by all. Latencies of
puts beside other work are at 500 puts a second, from the moment each was due; medians."""
SIZES = (10_000, 100_000, 1_000_000, 3_000_000)
MAIN_SIZE = 1_000_000
FALL_MAX = 0.2


def fill(server: Server, first: int, objects: int) -> float:
    """Have that many objects, of which the first are there; the disk bytes for each new one."""
    before = server.disk_written_bytes()
    kubeload(server, "fill", first=first, objects=objects, clients=32)
    server.wait_until_at_rest()
    return (server.disk_written_bytes() - before) / (objects - first)


def put_rate(bench: Bench, server: Server, objects: int) -> tuple[Sample, float]:
    """Update objects; the sample, and the bytes that each update made the disk write."""
    operations = bench.sized(100_000)
    before = server.disk_written_bytes()
    measured = kubeload(server, "update", objects=objects, operations=operations)["update"]
    return sample(measured), (server.disk_written_bytes() - before) / operations


def rates(bench: Bench, servers: dict[str, Server], objects: int) -> tuple[Row, Figure]:
    """Measure puts at this size, in turn."""
    samples: dict[str, list[Sample]] = {name: [] for name in servers}
    written: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(bench.rounds):
        for name, server in servers.items():
            got, disk_bytes = put_rate(bench, server, objects)
            samples[name].append(got)
            written[name].append(disk_bytes)
            print(f"  puts at {objects:,} objects, {name}: {got}", flush=True)
    row = Row(
        f"put, {objects:,} objects",
        processes.ETCD,
        median(samples["etcd"]),
        median(samples["decube"]),
    )
    disk = {name: statistics.median(values) for name, values in written.items()}
    what = f"disk bytes written per put, {objects:,} objects"
    return row, Figure(what, "B", disk["etcd"], disk["decube"])


def overwrite(servers: dict[str, Server], objects: int) -> Figure:
    """Tell what a put makes the disk write in the long run: with its share of checkpoints."""
    written = {name: fill(server, 0, objects) for name, server in servers.items()}
    what = f"disk bytes written per put, over {objects:,} puts"
    return Figure(what, "B", written["etcd"], written["decube"])


def measure(bench: Bench) -> Section:
    """Let both stores grow, and measure on the way."""
    section = Section("Size", ABOUT)
    main_size = bench.sized(MAIN_SIZE)
    with ExitStack() as stack:
        servers: dict[str, Server] = {
            "etcd": stack.enter_context(processes.etcd(bench.directory / "etcd")),
            "decube": stack.enter_context(
                processes.decube(bench.directory / "decube", DECUBE_SNAPSHOT_ENABLED="false")
            ),
        }
        there = 0
        for size in map(bench.sized, SIZES):
            loaded = {name: fill(server, there, size) for name, server in servers.items()}
            there = size
            if size == main_size:
                section.figures.append(restarts.memory(servers, f"memory, {size:,} objects"))
            row, disk = rates(bench, servers, size)
            section.rows.append(row)
            name = f"disk bytes written for each object of a bulk load up to {size:,}"
            section.figures += [disk, Figure(name, "B", loaded["etcd"], loaded["decube"])]
            if size == main_size:
                section.figures.append(overwrite(servers, size))
                section.figures += interference.measure(bench, servers, size)
                section.figures += restarts.measure(servers, size)
    section.lines += [fall(section.rows), restarts.recovery_line(bench)]
    return section


def fall(rows: list[Row]) -> str:
    """Tell how much slower the largest store is than the smallest."""
    told = []
    for name, of in (("DeCube", lambda row: row.own), ("etcd", lambda row: row.peer_sample)):
        first, last = of(rows[0]), of(rows[-1])
        told.append(
            f"{name}: rate {last.rate / first.rate - 1:+.0%}, "
            f"CPU {last.cpu_us / first.cpu_us - 1:+.0%}"
        )
    return (
        f"- From {rows[0].load} to {rows[-1].load}: {'; '.join(told)} "
        f"(wanted: DeCube falls by less than {FALL_MAX:.0%})"
    )
