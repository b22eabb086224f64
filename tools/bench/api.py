"""Reads of one pod over REST and gRPC, beside handlers of the same frameworks that do nothing."""

from __future__ import annotations

import json
import math
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx2

from tools.bench import processes
from tools.bench.figures import Bench, Row, Sample, Section, median
from tools.bench.programs import FailedError, client, measured, number

if TYPE_CHECKING:
    from tools.bench.processes import Server

ABOUT = """\
REST is driven by `hey` over 32 connections, gRPC by `tools/peers/grpcload` with 8 connections and
32 calls under way. The peer is the bare framework: what Python itself allows."""
POD = b'{"name":"web","labels":{"app":"web"},"status":"running","node_name":"node-1"}'
# GetPodRequest { 1 name: "web", 2 namespace: "default" }
GET_POD = b"\x0a\x03web\x12\x07default"
GET_POD_METHOD = "/proto.DeCubeService/GetPod"
POD_PATH = "/api/v1/pods/web"
CLIENTS = 32


def rest_get(server: Server, bench: Bench) -> Sample:
    """HTTP GETs over kept-alive connections."""

    def run() -> tuple[int, float, float, float]:
        total = bench.sized(60_000)
        url = f"http://{server.address('rest')}{POD_PATH}"
        report = client("hey", "-n", str(total), "-c", str(CLIENTS), url)
        if set(re.findall(r"\[(\d+)\]\s+\d+ responses", report)) != {"200"}:
            raise FailedError(f"GET {url} did not always answer 200:\n{report}")
        return (
            total - total % CLIENTS,
            number(r"Requests/sec:\s+([\d.]+)", report),
            number(r"50%+ in ([\d.]+) secs", report) * 1000,
            number(r"99%+ in ([\d.]+) secs", report) * 1000,
        )

    return measured(server, run)


def grpc_get(server: Server, bench: Bench) -> Sample:
    """Unary calls. The latency is their mean, by Little's law."""

    def run() -> tuple[int, float, float, float]:
        report = client(
            "grpcload", "-address", server.address("grpc"), "-method", GET_POD_METHOD,
            "-request-hex", GET_POD.hex(), "-clients", str(CLIENTS),
            "-seconds", "1" if bench.quick else "5",
        )  # fmt: skip
        result = json.loads(report)
        if result["errors"]:
            raise FailedError(f"GetPod failed {result['errors']} times: {result['error']}")
        rate = float(result["requests_per_second"])
        return int(result["requests"]), rate, CLIENTS / rate * 1000, math.nan

    return measured(server, run)


def create_pod(server: Server) -> None:
    """Put the one pod there that is read."""
    url = f"http://{server.address('rest')}/api/v1/pods"
    headers = {"Content-Type": "application/json"}
    httpx2.post(url, content=POD, headers=headers).raise_for_status()


def measure(bench: Bench) -> Section:
    """Measure both, all servers up and loaded in turn."""
    section = Section("REST and gRPC", ABOUT)
    with ExitStack() as stack:
        own = stack.enter_context(processes.decube(bench.directory / "decube"))
        create_pod(own)
        for kind, name, peer, load, wanted in (
            ("rest", "REST GET of a pod", "bare handler", rest_get, 0.5),
            ("grpc", "gRPC GetPod", "empty handler", grpc_get, 0.6),
        ):
            bare = stack.enter_context(processes.bare(kind, bench.directory))
            samples: dict[str, list[Sample]] = {"bare": [], "decube": []}
            for turn in range(bench.rounds):
                for who, server in (("bare", bare), ("decube", own)):
                    samples[who].append(load(server, bench))
                    print(f"  {name}, round {turn + 1}, {who}: {samples[who][-1]}", flush=True)
            row = Row(name, peer, median(samples["bare"]), median(samples["decube"]), wanted)
            section.rows.append(row)
    return section
