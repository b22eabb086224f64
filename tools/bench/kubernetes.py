"""Transactions, reads and lists as a kube-apiserver sends them, with one watcher of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.bench import processes
from tools.bench.figures import Bench, Row, Sample, Section, median
from tools.bench.programs import FailedError, kubeload, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tools.bench.processes import Server

ABOUT = """\
`tools/peers/kubeload transactions`: 300 clients over 50 connections, keys of 70 bytes and values of
512, by the `kubernetes` package of etcd's client. One watcher of the whole prefix, with what was
there before each change, receives everything; its share of the server's CPU is in the column."""
# Phase, and the ratios wanted of rate and CPU.
PHASES = (
    ("create", "create transaction", 2.5, 0.35),
    ("get", "get", None, None),
    ("update", "update transaction", 3.0, 0.35),
    ("list", "list of 500", 2.5, 0.3),
    ("delete", "delete transaction", 3.0, 0.35),
)
PUBLISHED = (
    "- KubeBrain and mem_etcd: skipped, they are on no package registry. Published ratios to etcd, "
    "of this load on a 2-core machine, for create, get, update, list and delete: KubeBrain on "
    "badger 0.49x, 0.56x, 0.63x, 0.54x, 0.55x; mem_etcd with fsync, whose log cannot be read "
    "back, 1.73x, 2.22x, 2.28x, 2.27x, 2.53x."
)


def phases(server: Server, bench: Bench) -> dict[str, Sample]:
    """Run all phases on an empty server."""
    flags = {"objects": bench.sized(50_000), "lists": bench.sized(2_000)}
    return {name: sample(m) for name, m in kubeload(server, "transactions", **flags).items()}


def in_turn(
    bench: Bench, servers: dict[str, Callable[[Path], AbstractContextManager[Server]]]
) -> dict[str, dict[str, Sample]]:
    """Run every server in turn, fresh in every round; medians by server and phase."""
    runs: dict[str, list[dict[str, Sample]]] = {name: [] for name in servers}
    for turn in range(bench.rounds):
        for name, start in servers.items():
            with start(bench.directory / name) as server:
                runs[name].append(phases(server, bench))
            for phase, got in runs[name][-1].items():
                print(f"  {phase}, round {turn + 1}, {name}: {got}", flush=True)
    return {
        name: {phase: median([run[phase] for run in found]) for phase, *_ in PHASES}
        for name, found in runs.items()
    }


def measure(bench: Bench) -> Section:
    """Measure etcd and DeCube in turn, and kine by itself if it was built."""
    section = Section("Kubernetes' load", ABOUT)
    medians = in_turn(bench, {"etcd": processes.etcd, "decube": processes.decube})
    own = medians["decube"]
    for phase, name, rate_wanted, cpu_wanted in PHASES:
        peer = medians["etcd"][phase]
        section.rows.append(Row(name, processes.ETCD, peer, own[phase], rate_wanted, cpu_wanted))
    try:
        kine = in_turn(bench, {"kine": processes.kine})["kine"]
        section.rows += [Row(name, "kine, sqlite", kine[p], own[p]) for p, name, *_ in PHASES]
    except (FailedError, FileNotFoundError) as error:
        # A peer that cannot be measured does not take the others along.
        section.lines.append(f"- kine: skipped: {str(error)[:200]}")
    section.lines.append(PUBLISHED)
    return section
