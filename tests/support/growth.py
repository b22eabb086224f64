"""Whether what a process holds grows with time: samples of it, and what they come to.

The second quarter of a run is compared with its last one, by medians: the first is for warming up,
and a median does not mind moments of work. Memory may grow by `MEMORY_SHARE_MAX`, for allocators
spread what they reuse, or by `MEMORY_BYTES_MAX`, for small processes; descriptors and threads by
the few that calls under way happen to hold.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

MEMORY_SHARE_MAX = 0.10
MEMORY_BYTES_MAX = 8 << 20
DESCRIPTORS_MAX = 5
THREADS_MAX = 2


@dataclass(frozen=True)
class Resources:
    """What a process holds."""

    memory_bytes: int
    descriptors: int
    threads: int


def resources(pid: int) -> Resources:
    """Read the kernel's books."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Resources(int(status["VmRSS"].split()[0]) * 1024, descriptors, int(status["Threads"]))


@dataclass
class Series:
    """Samples at even distances."""

    samples: list[Resources] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """Name what grew by more than is tolerated."""
        before, after = self.quarter(1), self.quarter(3)
        room = {
            "memory_bytes": max(before.memory_bytes * MEMORY_SHARE_MAX, MEMORY_BYTES_MAX),
            "descriptors": DESCRIPTORS_MAX,
            "threads": THREADS_MAX,
        }
        grown = {name: getattr(after, name) - getattr(before, name) for name in room}
        return [
            f"{name} grew by {grown[name]} from {before} to {after}: more than {limit}"
            for name, limit in room.items()
            if grown[name] > limit
        ]

    def quarter(self, number: int) -> Resources:
        """Take the medians of a quarter of the run, counted from 0."""
        length = len(self.samples)
        part = self.samples[length * number // 4 : length * (number + 1) // 4]
        return Resources(
            *(
                int(statistics.median(getattr(sample, name) for sample in part))
                for name in ("memory_bytes", "descriptors", "threads")
            )
        )
