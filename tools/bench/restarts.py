"""How soon a store is ready again, and what it weighs then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2

from tools.bench import processes
from tools.bench.figures import Bench, Figure
from tools.bench.programs import FailedError, kubeload

if TYPE_CHECKING:
    from tools.bench.processes import Server

# Below what a checkpoint is made of whatever the settings say.
LOGGED_OBJECTS = 350_000
NO_CHECKPOINT = {"DECUBE_ETCD_SNAPSHOT_COUNT": "1000000000"}
LOG_BYTES = re.compile(r"^decube_store_log_bytes_total (\S+)$", re.MULTILINE)


def measure(servers: dict[str, Server], objects: int) -> list[Figure]:
    """Measure the start on so many objects, and the memory then.

    Killed first: a node that is stopped may leave less for the next start to do.
    """
    figures = []
    for what, kill, wanted in (("`kill -9`", True, None), ("a clean stop", False, 0.5)):
        ready = {name: server.restart(kill=kill) for name, server in servers.items()}
        name = f"etcd port ready after {what}, {objects:,} objects"
        figures.append(Figure(name, "s", ready["etcd"], ready["decube"], wanted))
        print(f"  {figures[-1].line()}", flush=True)
    stop = {name: server.stop_s for name, server in servers.items()}
    # It is longer for the sake of the start.
    name = f"the stop itself, {objects:,} objects"
    figures.append(Figure(name, "s", stop["etcd"], stop["decube"], wanted=None))
    print(f"  {figures[-1].line()}", flush=True)
    return [*figures, memory(servers, f"memory after a restart, {objects:,} objects")]


def memory(servers: dict[str, Server], what: str) -> Figure:
    """Weigh both."""
    weight = {name: server.memory_bytes() / 1e6 for name, server in servers.items()}
    figure = Figure(what, "MB", weight["etcd"], weight["decube"])
    print(f"  {figure.line()}", flush=True)
    return figure


def recovery_line(bench: Bench) -> str:
    """Kill a node whose log no checkpoint covers; what the replay takes for each GB."""
    with processes.decube(bench.directory / "recovery", **NO_CHECKPOINT) as server:
        empty_s = server.start_s
        kubeload(server, "fill", objects=bench.sized(LOGGED_OBJECTS), clients=32)
        told = httpx2.get(f"http://{server.address('rest')}/metrics").raise_for_status().text
        found = LOG_BYTES.search(told)
        if found is None:
            raise FailedError("the node does not tell the bytes of its log")
        log_gb = float(found[1]) / 1e9
        replay_s = max(server.restart(kill=True) - empty_s, 0.0)
    return (
        f"- Recovery: {replay_s:.2f} s more than an empty store for {log_gb * 1000:.0f} MB of log, "
        f"{replay_s / log_gb:.1f} s/GB. A checkpoint is due after 64 MiB of log or as much as the "
        "last one had, or the state has by now, so this bounds the replay."
    )
