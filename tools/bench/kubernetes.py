"""Transactions, reads and lists as a kube-apiserver sends them, with one watcher of everything."""

from __future__ import annotations

from dataclasses import replace
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

from tools.bench import processes
from tools.bench.figures import Bench, Row, Sample, Section, median
from tools.bench.programs import FailedError, kubeload, sample
from tools.servers import NotReadyError

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
# Measured by hand beside etcd 3.7.1, in the run of November 2026 whose ratios the targets of this
# project were set by.
MEASURED_ONCE = (
    "- KubeBrain (github.com/kubewharf/kubebrain) and mem_etcd (github.com/bchess/k8s-1m): "
    "skipped, they are on no package registry. Not of this run, and single runs within 20 %: "
    "ratios to etcd 3.7.1 of this load on another machine of 2 cores, November 2026, for create, "
    "get, update, list and delete. KubeBrain on badger 0.49x, 0.56x, 0.63x, 0.54x, 0.55x; "
    "mem_etcd with fsync, whose log cannot be read back, 1.73x, 2.22x, 2.28x, 2.27x, 2.53x. What "
    "KubeBrain publishes, in its docs/benchmark.md, is of three large machines with TiKV."
)
# A peer that does not start, ends, hangs or fails is left out, with the reason.
CANNOT_BE_MEASURED = (FailedError, FileNotFoundError, NotReadyError, TimeoutExpired)


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
    """Measure etcd and DeCube in turn, and kine once by itself if it was built."""
    section = Section("Kubernetes' load", ABOUT)
    medians = in_turn(bench, {"etcd": processes.etcd, "decube": processes.decube})
    own = medians["decube"]
    for phase, name, rate_wanted, cpu_wanted in PHASES:
        peer = medians["etcd"][phase]
        section.rows.append(Row(name, processes.ETCD, peer, own[phase], rate_wanted, cpu_wanted))
    try:
        # A round of its takes as long as all of the others together.
        kine = in_turn(replace(bench, rounds=1), {"kine": processes.kine})["kine"]
        section.rows += [Row(name, "kine, sqlite, once", kine[p], own[p]) for p, name, *_ in PHASES]
    except CANNOT_BE_MEASURED as error:
        section.lines.append(f"- kine: skipped: {' '.join(str(error).split())[:200]}")
    section.lines.append(MEASURED_ONCE)
    return section
