"""What the process uses of its machine, and how much there is of it, under the original's names.

Linux tells it in files that are read when the metrics are asked for. What cannot be read is left
out: a container may hide it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from decube.kit.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from decube.kit.clock import Clock

# Two scrapers must not shorten each other's time so much that a share says nothing.
CPU_WINDOW_S_MIN = 5.0
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_MEMORY = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_SYSTEM_CLOCK = SystemClock()


class HostMetrics(Collector):
    """CPU and memory of the process, and the disk of its data directory."""

    def __init__(self, data_directory: Path, *, clock: Clock = _SYSTEM_CLOCK) -> None:
        self._data_directory = data_directory
        self._clock = clock
        self._began = (clock.monotonic_s(), time.process_time())
        self._cpu_percent = 0.0

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: what there is depends on the machine."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read the figures."""
        yield _gauge("cpu_usage", "CPU of this process, percent of its processors", self._cpu())
        if (used := _resident_bytes()) is not None:
            yield _gauge("memory_usage", "Resident memory of this process in bytes", used)
        if (limit := _memory_limit_bytes()) is not None:
            yield _gauge("memory_limit", "Memory that this process may use, in bytes", limit)
        try:
            disk = os.statvfs(self._data_directory)
        except OSError:
            return
        total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        yield _gauge("disk_total", "Size in bytes of the disk of the data directory", total)
        yield _gauge("disk_usage", "Bytes of that disk that are not available", total - free)

    def _cpu(self) -> float:
        now_s, cpu_s = self._clock.monotonic_s(), time.process_time()
        began_s, began_cpu_s = self._began
        if now_s - began_s >= CPU_WINDOW_S_MIN:
            processors = len(os.sched_getaffinity(0))
            self._cpu_percent = 100 * (cpu_s - began_cpu_s) / (now_s - began_s) / processors
            self._began = (now_s, cpu_s)
        return self._cpu_percent


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"decube_{name}", text, value=value)


def _resident_bytes() -> int | None:
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _memory_limit_bytes() -> int | None:
    """Return the limit of the control group, or the machine's memory."""
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        limit = "max"
    if limit.isdecimal():
        return int(limit)
    try:
        first, *_ = _MEMORY.read_text().splitlines()
    except OSError:
        return None
    return int(first.split()[1]) * 1024
