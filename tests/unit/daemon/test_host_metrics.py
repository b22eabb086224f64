"""What the process uses of its machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from decube.daemon.host_metrics import CPU_WINDOW_S_MIN, HostMetrics
from decube.kit.clock import ManualClock

if TYPE_CHECKING:
    from pathlib import Path


def test_usage_is_told_beside_what_there_is(tmp_path: Path) -> None:
    metrics, clock = CollectorRegistry(), ManualClock()
    metrics.register(HostMetrics(tmp_path, clock=clock))
    figure = {
        name: metrics.get_sample_value(f"decube_{name}") or 0
        for name in ("memory_usage", "memory_limit", "disk_usage", "disk_total")
    }
    assert 1 << 20 < figure["memory_usage"] < figure["memory_limit"]
    assert 0 < figure["disk_usage"] < figure["disk_total"]
    assert metrics.get_sample_value("decube_cpu_usage") == 0
    sum(number * number for number in range(200_000))
    asyncio.run(clock.advance(CPU_WINDOW_S_MIN))
    used = metrics.get_sample_value("decube_cpu_usage")
    assert used is not None
    assert used > 0
    asyncio.run(clock.advance(CPU_WINDOW_S_MIN / 2))
    assert metrics.get_sample_value("decube_cpu_usage") == used, "too soon to say anything else"


def test_a_disk_that_is_gone_takes_nothing_else_away(tmp_path: Path) -> None:
    metrics = CollectorRegistry()
    metrics.register(HostMetrics(tmp_path / "absent"))
    assert metrics.get_sample_value("decube_disk_total") is None
    assert metrics.get_sample_value("decube_memory_usage") is not None
