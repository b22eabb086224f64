"""The loads: each drives a server with a client of its own process and tells rate and cost."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.bench.processes import PEERS, Server

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT_SECONDS_MAX = 300
MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one load: operations a second, server CPU an operation, latencies."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def measured(server: Server, run: Callable[[], tuple[int, float, float, float]]) -> Sample:
    """Run a client and charge the CPU that the server used meanwhile to its operations."""
    before = server.cpu_s()
    operations, rate, p50_ms, p99_ms = run()
    cpu_us = (server.cpu_s() - before) * MICROSECONDS / operations
    return Sample(rate, cpu_us, p50_ms, p99_ms)


def client(*arguments: str) -> str:
    """Run a client program from the peers; its output, or an end that shows why it failed."""
    program = PEERS / arguments[0]
    done = subprocess.run(
        [str(program), *arguments[1:]],
        check=False,
        capture_output=True,
        text=True,
        timeout=CLIENT_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout


def number(pattern: str, text: str) -> float:
    """Find a figure in a client's report."""
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"bench: no {pattern!r} in the client's report:\n{text}")
    return float(found[1])


def etcd_benchmark(server: Server, total: int, *arguments: str) -> Sample:
    """Drive a server with etcd's own `benchmark`, 100 connections and 1,000 clients."""

    def run() -> tuple[int, float, float, float]:
        report = client(
            "benchmark",
            f"--endpoints={server.address('etcd')}",
            "--conns=100",
            "--clients=1000",
            *arguments,
            f"--total={total}",
        )
        if "Error distribution" in report:
            raise SystemExit(f"bench: {server.name} refused some requests:\n{report}")
        return (
            total,
            number(r"Requests/sec:\s+([\d.]+)", report),
            number(r"50% in ([\d.]+) secs", report) * 1000,
            number(r"99% in ([\d.]+) secs", report) * 1000,
        )

    return measured(server, run)


def put(server: Server) -> Sample:
    """Durable puts, 8 B keys and 256 B values."""
    return etcd_benchmark(
        server, 200_000, "put", "--key-size=8", "--sequential-keys", "--val-size=256",
        "--key-space-size=100000",
    )  # fmt: skip


def txn_put(server: Server) -> Sample:
    """Durable transactions of one put each."""
    return etcd_benchmark(
        server, 100_000, "txn-put", "--key-size=8", "--val-size=256", "--key-space-size=100000"
    )


def linearizable_range(server: Server) -> Sample:
    """Linearizable reads of one key."""
    client("etcdctl", f"--endpoints={server.address('etcd')}", "put", "bench-key", "v" * 256)
    return etcd_benchmark(server, 300_000, "range", "bench-key", "--consistency=l")


def rest_get(server: Server, path: str) -> Sample:
    """HTTP GETs over 32 kept-alive connections."""

    def run() -> tuple[int, float, float, float]:
        total = 60_000
        url = f"http://{server.address('rest')}{path}"
        report = client("hey", "-n", str(total), "-c", "32", url)
        if set(re.findall(r"\[(\d+)\]\s+\d+ responses", report)) != {"200"}:
            raise SystemExit(f"bench: GET {url} did not always answer 200:\n{report}")
        return (
            total - total % 32,
            number(r"Requests/sec:\s+([\d.]+)", report),
            number(r"50%+ in ([\d.]+) secs", report) * 1000,
            number(r"99%+ in ([\d.]+) secs", report) * 1000,
        )

    return measured(server, run)


def grpc_unary(server: Server, method: str, request: bytes) -> Sample:
    """Unary calls, 32 under way over 8 connections. Latency follows from Little's law."""

    def run() -> tuple[int, float, float, float]:
        clients = 32
        report = client(
            "grpcload", "-address", server.address("grpc"), "-method", method,
            "-request-hex", request.hex(), "-clients", str(clients), "-seconds", "5",
        )  # fmt: skip
        result = json.loads(report)
        if result["errors"]:
            raise SystemExit(f"bench: {method} failed {result['errors']} times: {result['error']}")
        rate = float(result["requests_per_second"])
        mean_ms = clients / rate * 1000
        return int(result["requests"]), rate, mean_ms, float("nan")

    return measured(server, run)
