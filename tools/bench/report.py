"""Turns what was measured into the page `docs/benchmarks.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.bench.figures import Section

HEAD = """# Benchmarks

<!-- Written by `make bench`; do not edit. -->

DeCube beside its peers, measured in one run on one machine ({machine}), clients and servers on the
same cores, every acknowledged write fdatasynced, medians of {rounds} rounds that alternate between
the servers. Read the **ratios**: rates move with the machine and with its neighbours, and where
clients and server fill all cores the server's CPU per operation decides. Where the time goes, and
why a target is missed where one is: [performance.md](performance.md).

Make it again with `make bench` (about 40 minutes on two cores that do nothing else), or a part of
it with `.venv/bin/python -m tools.bench --only NAMES`. etcd runs with a quota that nothing here
reaches; a data directory in memory is refused.
"""
RATES = """
| load | peer | peer/s | DeCube/s | ratio | wanted | peer CPU us | DeCube CPU us | ratio | wanted | p50 / p99 ms peer | p50 / p99 ms DeCube |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501 - a table's head is one line
FIGURES = """
| less is better | etcd 3.7.1 | DeCube | unit | ratio | wanted |
|---|---|---|---|---|---|
"""


def page(sections: list[Section], machine: str, rounds: int) -> str:
    """Format all that was measured."""
    return HEAD.format(machine=machine, rounds=rounds) + "".join(map(part, sections))


def part(section: Section) -> str:
    """Format a section."""
    text = f"\n## {section.title}\n"
    if section.about:
        text += f"\n{section.about}\n"
    if section.rows:
        text += RATES + "".join(f"{row.line()}\n" for row in section.rows)
    if section.figures:
        text += FIGURES + "".join(f"{figure.line()}\n" for figure in section.figures)
    if section.lines:
        text += "\n" + "".join(f"{line}\n" for line in section.lines)
    return text
