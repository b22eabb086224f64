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
10 streams. So few of them still find room in what etcd's collector leaves between two of its
rounds, hence 100,000 as well."""
TOTAL = 10_000
MANY = 100_000
STREAMS_OF_A_CONNECTION = 100
# What was only needed while they opened is given back.
SETTLE_S = 3.0
KINDS = (
    ("idle connection", "connections", TOTAL),
    ("idle stream with a watcher", "streams", TOTAL),
    ("idle watcher", "watchers", TOTAL),
    (f"idle watcher of {MANY:,}", "watchers", MANY),
)


def weight(server: Server, bench: Bench, kind: str, total: int) -> float:
    """Tell the bytes that one of them takes."""
    kubeload(server, "update", objects=1000, operations=bench.sized(20_000))
    time.sleep(SETTLE_S)  # noqa: TID251 - what that left is given back too
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
    for name, kind, total in KINDS:
        weights = {}
        for peer, start in (("etcd", processes.etcd), ("decube", processes.decube)):
            with start(bench.directory / peer) as server:
                weights[peer] = weight(server, bench, kind, bench.sized(total)) / 1024
            print(f"  {name}, {peer}: {weights[peer]:.1f} KiB", flush=True)
        section.figures.append(Figure(name, "KiB", weights["etcd"], weights["decube"]))
    return section
