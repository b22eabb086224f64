"""How many events reach their watchers, and how soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.bench.figures import Bench, Figure, Row, Sample, Section
from tools.bench.processes import ETCD
from tools.bench.programs import etcd_benchmark, kubeload, sample
from tools.bench.store import side_by_side

if TYPE_CHECKING:
    from tools.bench.processes import Server

ABOUT = """\
Hot keys: `benchmark watch`, 10 streams with 100 watchers each, 10 keys, events as fast as they
come; an operation is an event delivered. Latency: `kubeload watch-latency`, 1,000 puts a second in
turn to the keys of 1,000 watchers on 10 streams, from the moment a put was due to the moment its
watcher has the event, so the sync to disk is in it."""
WATCHERS_OF_A_KEY = 100


def hot_keys(server: Server, bench: Bench) -> Sample:
    """Events of keys that many watch."""
    puts = bench.sized(20_000)
    measured = etcd_benchmark(
        server, puts * WATCHERS_OF_A_KEY, "watch", "--streams=10", "--watch-per-stream=100",
        "--watched-key-total=10", "--key-space-size=10", "--sequential-keys",
        f"--put-total={puts}", clients=50, connections=50,
    )  # fmt: skip
    # Its latencies are of handing events from one goroutine to another.
    return Sample(measured.rate, measured.cpu_us)


def latency(server: Server, bench: Bench) -> Sample:
    """Steady puts, and when their watchers have them."""
    seconds = 2 if bench.quick else 10
    flags = {"rate": 1000, "watchers": 1000, "streams": 10, "seconds": seconds}
    return sample(kubeload(server, "watch-latency", **flags)["watch-latency"])


def measure(bench: Bench) -> Section:
    """Measure both."""
    section = Section("Watches", ABOUT)
    peer, own = side_by_side(bench, "watch of hot keys", hot_keys)
    section.rows.append(Row("events of hot keys", ETCD, peer, own, 2.5, 0.35))
    peer, own = side_by_side(bench, "watch latency", latency)
    section.rows.append(Row("put and its event, at 1,000/s", ETCD, peer, own))
    section.figures += [
        Figure("watch latency at 1,000 puts/s, p50", "ms", peer.p50_ms, own.p50_ms, None),
        Figure("watch latency at 1,000 puts/s, p99", "ms", peer.p99_ms, own.p99_ms, 0.7),
    ]
    return section
