"""Run every load side by side and write the table: `make bench`.

Rounds alternate between the servers, so that a slow minute of the machine hits both; the table
shows medians. A figure is only ever a ratio to a peer, or to the bare framework, of the same run.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx2

from tools.bench import loads, processes
from tools.bench.leases import lease_lines
from tools.bench.report import Row, Table, write
from tools.bench.snapshots import snapshot_lines

ROUNDS = 3
STORE_LOADS = (
    ("durable put, 8 B / 256 B", loads.put, 2.0, 0.30),
    ("durable txn of one put, 8 B / 256 B", loads.txn_put, None, None),
    ("linearizable point read", loads.linearizable_range, 1.8, 0.30),
)
POD = b'{"name":"web","labels":{"app":"web"},"status":"running","node_name":"node-1"}'
# GetPodRequest { 1 name: "web", 2 namespace: "default" }
GET_POD = b"\x0a\x03web\x12\x07default"


def median(samples: list[loads.Sample]) -> loads.Sample:
    """Take the median of every figure by itself."""
    return loads.Sample(
        *(statistics.median(getattr(s, f) for s in samples) for f in loads.Sample.__slots__)
    )


def store_rows(directory: Path, rounds: int) -> list[Row]:
    """Measure the store's loads on a real etcd and on DeCube."""
    rows = []
    for name, load, rate_wanted, cpu_wanted in STORE_LOADS:
        samples: dict[str, list[loads.Sample]] = {"etcd": [], "decube": []}
        for number in range(rounds):
            for peer, start in (("etcd", processes.etcd), ("decube", processes.decube)):
                with start(directory / peer) as server:
                    samples[peer].append(load(server))
                print(f"{name}, round {number + 1}, {peer}: {samples[peer][-1]}", flush=True)
        peer_sample, own = median(samples["etcd"]), median(samples["decube"])
        rows.append(Row(name, "etcd 3.7.1", peer_sample, own, rate_wanted, cpu_wanted))
    return rows


def create_pod(server: processes.Server) -> None:
    """Put the one pod there that the API loads read."""
    url = f"http://{server.address('rest')}/api/v1/pods"
    headers = {"Content-Type": "application/json"}
    httpx2.post(url, content=POD, headers=headers).raise_for_status()


def api_rows(directory: Path, rounds: int) -> list[Row]:
    """Measure a pod's GET over REST and gRPC beside handlers that do nothing."""
    path = "/api/v1/pods/web"
    rest: dict[str, list[loads.Sample]] = {"bare": [], "decube": []}
    grpc: dict[str, list[loads.Sample]] = {"bare": [], "decube": []}
    method = "/proto.DeCubeService/GetPod"
    with ExitStack() as stack:
        own = stack.enter_context(processes.decube(directory / "decube"))
        bare_rest = stack.enter_context(processes.bare("rest", directory))
        bare_grpc = stack.enter_context(processes.bare("grpc", directory))
        create_pod(own)
        for number in range(rounds):
            for peer, server in (("bare", bare_rest), ("decube", own)):
                rest[peer].append(loads.rest_get(server, path))
                print(f"REST GET, round {number + 1}, {peer}: {rest[peer][-1]}", flush=True)
            for peer, server in (("bare", bare_grpc), ("decube", own)):
                grpc[peer].append(loads.grpc_unary(server, method, GET_POD))
                print(f"GetPod, round {number + 1}, {peer}: {grpc[peer][-1]}", flush=True)
    return [
        Row("REST GET of a pod", "bare handler", median(rest["bare"]), median(rest["decube"]), 0.5),
        Row("gRPC GetPod", "empty handler", median(grpc["bare"]), median(grpc["decube"]), 0.6),
    ]


def start_lines(directory: Path, rounds: int) -> list[str]:
    """Measure how soon an empty store is ready, and what it weighs when idle."""
    ready: dict[str, list[float]] = {"etcd": [], "decube": [], "rest": [], "bare rest": []}
    weight: dict[str, float] = {}
    for _ in range(rounds):
        with processes.etcd(directory / "etcd") as server:
            ready["etcd"].append(server.start_s)
            weight["etcd"] = server.memory_bytes()
        with processes.decube(directory / "decube") as server:
            ready["decube"].append(server.start_s)
            weight["decube"] = server.memory_bytes()
        with processes.decube(directory / "decube", ready="rest") as server:
            ready["rest"].append(server.start_s)
        with processes.bare("rest", directory) as server:
            ready["bare rest"].append(server.start_s)
    seconds = {name: statistics.median(values) for name, values in ready.items()}
    own, peer = seconds["decube"], seconds["etcd"]
    rest, bare_rest = seconds["rest"], seconds["bare rest"]
    port = f"etcd port ready on an empty store: {own:.2f} s; etcd 3.7.1: {peer:.2f} s (no later)"
    api = f"REST ready: {rest:.2f} s; a bare app of the same framework: {bare_rest:.2f} s"
    memory = f"idle memory: {weight['decube'] / 1e6:.0f} MB; etcd: {weight['etcd'] / 1e6:.0f} MB"
    return [
        f"- {port}",
        f"- {api}; {rest / bare_rest:.2f}x (wanted: at most 1.5x)",
        f"- {memory} (wanted: under 120 MB)",
    ]


def main() -> None:
    """Measure and write docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--dir", type=Path, help="where the servers keep their data; a real disk")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--output", type=Path, default=processes.ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args()
    base = options.dir or processes.ROOT / "target"
    base.mkdir(parents=True, exist_ok=True)
    file_system = processes.require_real_disk(base)
    with tempfile.TemporaryDirectory(dir=base, prefix="bench-") as name:
        directory = Path(name)
        sections = {
            "Start and idle": start_lines(directory, options.rounds),
            "Leases": lease_lines(directory),
            "Snapshots": snapshot_lines(directory),
        }
        rows = store_rows(directory, options.rounds) + api_rows(directory, options.rounds)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {file_system}"
    table = Table(rows, sections, machine, options.rounds)
    write(options.output, table)
    print(options.output.read_text())


if __name__ == "__main__":
    main()
