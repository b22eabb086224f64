"""Measure side by side and write the page: `make bench`.

A section at a time: each starts its own servers and ends them. Rounds alternate between the
servers, so that a slow minute of the machine hits both. A section that fails is told on the page
and in the exit code, and does not keep the others from being measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tools.bench import api, idle, kubernetes, leases, processes, scale, snapshots, start, store
from tools.bench import watches as watching
from tools.bench.figures import Bench, Section
from tools.bench.report import page

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "store": store.measure,
    "kubernetes": kubernetes.measure,
    "watches": watching.measure,
    "scale": scale.measure,
    "idle": idle.measure,
    "start": start.measure,
    "leases": leases.measure,
    "snapshots": snapshots.measure,
    "api": api.measure,
}


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--only", help=f"sections to measure, by commas: {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="few operations and one round: a try")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--dir",
        type=Path,
        default=processes.ROOT / "target",
        help="where the servers keep their data; a real disk",
    )
    parser.add_argument(
        "--output", type=Path, help="the page; docs/benchmarks.md if everything is measured"
    )
    chosen = parser.parse_args()
    chosen.sections = chosen.only.split(",") if chosen.only else list(SECTIONS)
    if unknown := set(chosen.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if chosen.quick:
        chosen.rounds = 1
    elif not chosen.only and chosen.output is None:
        chosen.output = processes.ROOT / "docs" / "benchmarks.md"
    return chosen


def measured(name: str, bench: Bench) -> tuple[Section, bool]:
    """Measure a section; whether it went well."""
    begun_s = time.monotonic()
    print(f"{name}:", flush=True)
    try:
        section, well = SECTIONS[name](bench), True
    except Exception as error:  # noqa: BLE001 - the root of a section; told and counted
        traceback.print_exc()
        section, well = Section(name, lines=[f"- not measured: {error}"]), False
    print(f"{name}: took {time.monotonic() - begun_s:.0f} s", flush=True)
    return section, well


def main() -> None:
    """Measure, write the page as it grows, and print it."""
    chosen = options()
    chosen.dir.mkdir(parents=True, exist_ok=True)
    file_system = processes.require_real_disk(chosen.dir)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {file_system}"
    text, all_well = "", True
    with tempfile.TemporaryDirectory(dir=chosen.dir, prefix="bench-") as name:
        bench = Bench(Path(name), chosen.rounds, chosen.quick)
        sections: list[Section] = []
        for chosen_name in chosen.sections:
            section, well = measured(chosen_name, bench)
            sections.append(section)
            all_well &= well
            # What was measured stays when the rest is not waited for.
            text = page(sections, machine, chosen.rounds)
            if chosen.output:
                chosen.output.write_text(text)
    print(text)
    sys.exit(not all_well)


if __name__ == "__main__":
    main()
