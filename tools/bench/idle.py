"""What connections, streams and watchers that do nothing weigh."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tools.bench import processes
from tools.bench.figures import Bench, Figure, Section
from tools.bench.programs import held, kubeload, kubeload_command

if TYPE_CHECKING:
    from tools.bench.processes import Server

ABOUT = """\
Resident memory that 10,000 of each add to a server that has been warmed up, divided by their
number. A stream is a Watch stream with one watcher, 100 of them on a connection; watchers are on
10 streams."""
TOTAL = 10_000
STREAMS_OF_A_CONNECTION = 100
# What was only needed while they opened is given back.
SETTLE_S = 3.0
KINDS = {
    "connections": "idle connection",
    "streams": "idle stream with a watcher",
    "watchers": "idle watcher",
}


def weight(server: Server, bench: Bench, kind: str) -> float:
    """Tell the bytes that one of them takes."""
    total = bench.sized(TOTAL)
    kubeload(server, "update", objects=1000, operations=bench.sized(20_000))
    before = server.memory_bytes()
    flags = {"kind": kind, "objects": total, "streams": 10}
    connections = max(total // STREAMS_OF_A_CONNECTION, 1)
    with held(kubeload_command(server, "idle", connections=connections, **flags)) as clients:
        clients.wait_until_said("ready")
        time.sleep(SETTLE_S)  # noqa: TID251 - what it weighs at rest
        return (server.memory_bytes() - before) / total


def measure(bench: Bench) -> Section:
    """Measure each kind on fresh servers."""
    section = Section("Idle clients", ABOUT)
    for kind, name in KINDS.items():
        weights = {}
        for peer, start in (("etcd", processes.etcd), ("decube", processes.decube)):
            with start(bench.directory / peer) as server:
                weights[peer] = weight(server, bench, kind) / 1024
            print(f"  {name}, {peer}: {weights[peer]:.1f} KiB", flush=True)
        section.figures.append(Figure(name, "KiB", weights["etcd"], weights["decube"]))
    return section
