"""Loads of etcd's own `benchmark`, on a real etcd and on DeCube in turn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tools.bench import processes
from tools.bench.figures import Bench, Figure, Row, Sample, Section, median
from tools.bench.programs import (
    FailedError,
    client,
    etcd_benchmark,
    kubeload,
    measured,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.bench.processes import Server

ABOUT = """\
etcd's own `benchmark`, 100 connections and 1,000 clients where nothing else is said. Keys have 8
bytes and values 256. Its `lease-keepalive` opens a stream for each renewal; clients that hold a
lease keep theirs open, which is the row below it, of `tools/peers/kubeload`."""


class Load(NamedTuple):
    """A load, and what is wanted of it."""

    name: str
    run: Callable[[Server, Bench], Sample]
    rate_wanted: float | None = None
    cpu_wanted: float | None = None


def put(server: Server, bench: Bench) -> Sample:
    """Durable puts over 100,000 keys."""
    total = bench.sized(200_000)
    return etcd_benchmark(
        server, total, "put", "--key-size=8", "--sequential-keys", "--val-size=256",
        "--key-space-size=100000", f"--total={total}",
    )  # fmt: skip


def txn_put(server: Server, bench: Bench) -> Sample:
    """Durable transactions of one put each."""
    total = bench.sized(100_000)
    return etcd_benchmark(
        server, total, "txn-put", "--key-size=8", "--val-size=256", "--key-space-size=100000",
        f"--total={total}",
    )  # fmt: skip


def point_range(server: Server, bench: Bench) -> Sample:
    """Linearizable reads of one key."""
    client("etcdctl", f"--endpoints={server.address('etcd')}", "put", "bench-key", "v" * 256)
    total = bench.sized(300_000)
    return etcd_benchmark(
        server, total, "range", "bench-key", "--consistency=l", f"--total={total}"
    )


def txn_mixed(server: Server, bench: Bench) -> Sample:
    """Transactions, half of them a put, half a read of all there is, which is the one key."""
    total = bench.sized(100_000)

    def run() -> tuple[int, float, float, float]:
        report = client(
            "benchmark", f"--endpoints={server.address('etcd')}", "--conns=100",
            "--clients=1000", "txn-mixed", "--key-size=8", "--val-size=256", f"--total={total}",
        )  # fmt: skip
        if "Error distribution" in report:
            raise FailedError(f"{server.name} refused some requests:\n{report}")
        rates = re.findall(r"Requests/sec:\s+([\d.]+)", report)
        p50, p99 = (
            max(map(float, re.findall(rf"{share}% in ([\d.]+) secs", report))) * 1000
            for share in (50, 99)
        )
        return total, sum(map(float, rates)), p50, p99

    return measured(server, run)


def keep_alive_once(server: Server, bench: Bench) -> Sample:
    """Renewals of leases on a stream each."""
    total = bench.sized(100_000)
    return etcd_benchmark(server, total, "lease-keepalive", f"--total={total}")


def keep_alive(server: Server, bench: Bench) -> Sample:
    """Renewals of leases on streams that stay open."""
    renewals = bench.sized(200_000)
    flags = {"clients": 1000, "connections": 100, "operations": renewals}
    return sample(kubeload(server, "keepalive", **flags)["keepalive"])


def one_client(server: Server, bench: Bench) -> Sample:
    """Durable puts of one client over one connection, one after the other."""
    total = bench.sized(5_000)
    return etcd_benchmark(
        server, total, "put", "--key-size=8", "--val-size=256", "--precise", f"--total={total}",
        clients=1, connections=1,
    )  # fmt: skip


LOADS = (
    Load("put", put, 2.3, 0.25),
    Load("txn of one put", txn_put),
    Load("point range, linearizable", point_range, 2.0, 0.25),
    Load("`txn-mixed`, half reads half writes", txn_mixed, 2.3),
    Load("lease keep-alive, a stream each (`benchmark`)", keep_alive_once, 2.0),
    Load("lease keep-alive, streams that stay", keep_alive, 2.0),
)


def side_by_side(
    bench: Bench, name: str, run: Callable[[Server, Bench], Sample]
) -> tuple[Sample, Sample]:
    """Run a load on fresh servers in turn; the medians of etcd and of DeCube."""
    samples: dict[str, list[Sample]] = {"etcd": [], "decube": []}
    for turn in range(bench.rounds):
        for peer, start in (("etcd", processes.etcd), ("decube", processes.decube)):
            with start(bench.directory / peer) as server:
                samples[peer].append(run(server, bench))
            print(f"  {name}, round {turn + 1}, {peer}: {samples[peer][-1]}", flush=True)
    return median(samples["etcd"]), median(samples["decube"])


def measure(bench: Bench) -> Section:
    """Measure the loads, and the latency that one client alone sees."""
    section = Section("The store", ABOUT)
    for load in LOADS:
        peer, own = side_by_side(bench, load.name, load.run)
        section.rows.append(
            Row(load.name, processes.ETCD, peer, own, load.rate_wanted, load.cpu_wanted)
        )
    peer, own = side_by_side(bench, "one client", one_client)
    section.rows.append(Row("put, one client on one connection", processes.ETCD, peer, own))
    section.figures.append(
        Figure("put of one client, p50", "ms", peer.p50_ms, own.p50_ms, wanted=0.7)
    )
    return section
