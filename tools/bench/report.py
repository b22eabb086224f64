"""Turns samples into the page `docs/benchmarks.md`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tools.bench.loads import Sample

HEAD = """# Benchmarks

<!-- Written by `make bench`; do not edit. -->

DeCube beside its peers, measured in one run on one machine ({machine}), client and servers on the
same cores, every acknowledged write fdatasynced, medians of {rounds} rounds that alternate between
the servers. Read the **ratios**: rates move with the machine and with its neighbours, and where
client and server fill all cores the server's CPU per operation is the honest measure.

Make it again with `make bench`. The store's loads are etcd's own `benchmark` with 100 connections
and 1,000 clients; the REST load is `hey` with 32 connections; the gRPC load is
`tools/peers/grpcload` with 8 connections and 32 calls under way.

| load | peer | peer/s | DeCube/s | ratio | wanted | peer CPU us | DeCube CPU us | ratio | wanted | p50/p99 ms peer | p50/p99 ms DeCube |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501 - a table's head is one line

TAIL = """
## Not measured here

KubeBrain and mem_etcd are on no package registry, so their rows are skipped; published ratios to
etcd of mem_etcd with fsync are 1.73x for creates and 2.22x for reads, of KubeBrain on badger 0.49x
and 0.56x (one 2-core machine, Kubernetes-shaped load).
"""


@dataclass(frozen=True)
class Row:
    """One load on a peer and on DeCube, with the ratios wanted of it."""

    load: str
    peer: str
    peer_sample: Sample
    own: Sample
    rate_wanted: float | None = None
    cpu_wanted: float | None = None

    def line(self) -> str:
        """Format the row."""
        rate = self.own.rate / self.peer_sample.rate
        cpu = self.own.cpu_us / self.peer_sample.cpu_us
        rate_wanted = f">= {self.rate_wanted}x" if self.rate_wanted else ""
        cpu_wanted = f"<= {self.cpu_wanted}x" if self.cpu_wanted else ""
        return (
            f"| {self.load} | {self.peer} | {self.peer_sample.rate:,.0f} | {self.own.rate:,.0f} "
            f"| **{rate:.2f}x** | {rate_wanted} | {self.peer_sample.cpu_us:.1f} "
            f"| {self.own.cpu_us:.1f} | **{cpu:.2f}x** | {cpu_wanted} "
            f"| {latencies(self.peer_sample)} | {latencies(self.own)} |"
        )


@dataclass(frozen=True)
class Table:
    """Everything that one run measured."""

    rows: list[Row]
    sections: Mapping[str, list[str]]
    machine: str
    rounds: int


def latencies(sample: Sample) -> str:
    """Format p50 / p99; a latency that the client does not tell is left out."""
    known = [f"{ms:.1f}" for ms in (sample.p50_ms, sample.p99_ms) if ms == ms]  # noqa: PLR0124 - NaN
    return " / ".join(known)


def write(path: Path, table: Table) -> None:
    """Write the page."""
    head = HEAD.format(machine=table.machine, rounds=table.rounds)
    rows = "\n".join(row.line() for row in table.rows)
    sections = "".join(
        "\n".join(["", f"## {title}", "", *lines, ""]) for title, lines in table.sections.items()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + rows + "\n" + sections + TAIL)
