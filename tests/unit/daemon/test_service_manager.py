"""What the service manager is told."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from decube.daemon.service_manager import keep_alive, notify, watchdog_interval_s
from decube.kit.clock import ManualClock

if TYPE_CHECKING:
    from pathlib import Path


def test_a_state_reaches_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        notify("READY=1")
        assert manager.recv(64) == b"READY=1"


def test_an_abstract_socket_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0decube-test-notify")
        monkeypatch.setenv("NOTIFY_SOCKET", "@decube-test-notify")
        notify("STOPPING=1")
        assert manager.recv(64) == b"STOPPING=1"


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nobody/there")
    notify("READY=1")


def test_a_watchdog_hears_of_us_twice_as_often_as_it_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()

    async def run_for(duration_s: float) -> None:
        task = asyncio.create_task(keep_alive(10.0, clock))
        await asyncio.sleep(0)
        await clock.advance(duration_s)
        task.cancel()

    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        asyncio.run(run_for(20.0))
        assert [manager.recv(64) for _ in range(5)] == [b"WATCHDOG=1"] * 5
        with pytest.raises(BlockingIOError):
            manager.recv(64)


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_the_watchdog_of_this_process_alone_counts(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], interval_s: float
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert watchdog_interval_s() == interval_s
