"""What the service manager is told."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from decube.daemon.service_manager import notify

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
