"""The latency of puts while the store does something large: compacts, streams itself, is listed."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx2

from tools.bench.figures import Bench, Figure
from tools.bench.programs import CLIENT_SECONDS_MAX, client, held, kubeload, kubeload_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.bench.processes import Server

RATE = 500
QUIET_S = 5.0
SETTLE_S = 1.0


class Disturbance(NamedTuple):
    """Something that is done while puts go on."""

    name: str
    prepare: Callable[[Server, int], None]
    run: Callable[[Server, int], None]


def nothing(_server: Server, _objects: int) -> None:
    """Need nothing before."""


def be_quiet(_server: Server, _objects: int) -> None:
    """Disturb nobody."""
    time.sleep(QUIET_S)  # noqa: TID251 - a window to measure in


def overwrite(server: Server, objects: int) -> None:
    """Give every object a version that a compaction drops."""
    kubeload(server, "fill", objects=objects, clients=32)
    server.wait_until_at_rest()


def compact(server: Server, _objects: int) -> None:
    """Drop all history, and wait until it is dropped."""
    endpoint = f"--endpoints={server.address('etcd')}"
    status = client("etcdctl", endpoint, "get", "none", "--write-out=fields")
    revision = next(
        line.rpartition(":")[2].strip() for line in status.splitlines() if '"Revision"' in line
    )
    client("etcdctl", endpoint, "--command-timeout=600s", "compaction", "--physical=true", revision)


def snapshot(server: Server, _objects: int) -> None:
    """Stream all of the store into a file on the same disk."""
    if "rest" in server.ports:
        base = f"http://{server.address('rest')}/api/v1/snapshots"
        made = httpx2.post(base, timeout=CLIENT_SECONDS_MAX).raise_for_status()
        httpx2.delete(f"{base}/{made.json()['snapshot']['id']}").raise_for_status()
        return
    file = Path(server.process.log).with_suffix(".snapshot")
    endpoint = f"--endpoints={server.address('etcd')}"
    client("etcdctl", endpoint, "--command-timeout=600s", "snapshot", "save", str(file))
    file.unlink()


def read_all(server: Server, _objects: int) -> None:
    """Read all objects in one answer."""
    kubeload(server, "list", lists=1)


DISTURBANCES = (
    Disturbance("nothing else", nothing, be_quiet),
    Disturbance("{:,} versions compact", overwrite, compact),
    Disturbance("a snapshot of {:,} objects streams", nothing, snapshot),
    Disturbance("a list of {:,} objects is read", nothing, read_all),
)


class Puts(NamedTuple):
    """The puts that went on meanwhile: a quick refusal is no good latency, so it is counted."""

    p99_ms: float
    refused: int


def put(server: Server, disturbance: Disturbance, objects: int) -> Puts:
    """Put at a steady rate from shortly before until shortly after."""
    disturbance.prepare(server, objects)
    command = kubeload_command(server, "paced", rate=RATE, objects=objects, connections=8)
    with held(command) as puts:
        time.sleep(SETTLE_S)  # noqa: TID251 - until it puts
        disturbance.run(server, objects)
        measured = puts.end()
    return Puts(measured["p99_ms"], measured["failures"])


def rounds(
    bench: Bench, servers: dict[str, Server], disturbance: Disturbance, objects: int
) -> dict[str, Puts]:
    """Put beside a disturbance, in turn; the medians."""
    puts: dict[str, list[Puts]] = {name: [] for name in servers}
    for _ in range(bench.rounds):
        for name, server in servers.items():
            puts[name].append(put(server, disturbance, objects))
    return {
        name: Puts(statistics.median(one.p99_ms for one in done), sum(one.refused for one in done))
        for name, done in puts.items()
    }


def measure(bench: Bench, servers: dict[str, Server], objects: int) -> list[Figure]:
    """Measure puts beside each disturbance."""
    figures = []
    for disturbance in DISTURBANCES:
        puts = rounds(bench, servers, disturbance, objects)
        name = f"p99 of puts while {disturbance.name.format(objects)}"
        if any(done.refused for done in puts.values()):
            refusals = (f"{name} {done.refused}" for name, done in puts.items())
            name += f" (refused, and not in it: {', '.join(refusals)})"
        figures.append(Figure(name, "ms", puts["etcd"].p99_ms, puts["decube"].p99_ms))
        print(f"  {figures[-1].line()}", flush=True)
    return figures
