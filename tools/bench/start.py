"""How soon an empty store is ready, and what it weighs when idle."""

from __future__ import annotations

import statistics

from tools.bench import processes
from tools.bench.figures import Bench, Section


def measure(bench: Bench) -> Section:
    """Start every server a few times on empty directories."""
    ready: dict[str, list[float]] = {"etcd": [], "decube": [], "rest": [], "bare rest": []}
    weight: dict[str, float] = {}
    for _ in range(bench.rounds):
        with processes.etcd(bench.directory / "etcd") as server:
            ready["etcd"].append(server.start_s)
            weight["etcd"] = server.memory_bytes()
        with processes.decube(bench.directory / "decube") as server:
            ready["decube"].append(server.start_s)
            weight["decube"] = server.memory_bytes()
        with processes.decube(bench.directory / "decube", ready="rest") as server:
            ready["rest"].append(server.start_s)
        with processes.bare("rest", bench.directory) as server:
            ready["bare rest"].append(server.start_s)
    seconds = {name: statistics.median(values) for name, values in ready.items()}
    own, peer = seconds["decube"], seconds["etcd"]
    rest, bare_rest = seconds["rest"], seconds["bare rest"]
    port = f"etcd port ready on an empty store: {own:.2f} s; etcd 3.7.1: {peer:.2f} s (no later)"
    api = f"REST ready: {rest:.2f} s; a bare app of the same framework: {bare_rest:.2f} s"
    memory = f"idle memory: {weight['decube'] / 1e6:.0f} MB; etcd: {weight['etcd'] / 1e6:.0f} MB"
    lines = [
        f"- {port}",
        f"- {api}; {rest / bare_rest:.2f}x (wanted: at most 1.5x)",
        f"- {memory} (wanted: under 120 MB)",
    ]
    return Section("Start and idle", lines=lines)
