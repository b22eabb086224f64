"""What every test may ask for: real server processes, ended with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.node import EtcdProcess, NodeProcess, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """`decube up`, not started yet."""
    process = NodeProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture
def servers() -> Iterator[list[ServerProcess]]:
    """Collect processes that shall end with the test."""
    started: list[ServerProcess] = []
    yield started
    for process in started:
        process.kill()


@pytest.fixture
def fresh_etcd(tmp_path: Path, servers: list[ServerProcess]) -> Callable[[], str]:
    """Start a real etcd on an empty directory; returns its address."""

    def start() -> str:
        process = EtcdProcess(_empty(tmp_path / f"etcd-{len(servers)}"))
        servers.append(process)
        process.ensure_started()
        return process.etcd_address

    return start


@pytest.fixture
def fresh_decube(tmp_path: Path, servers: list[ServerProcess]) -> Callable[[], str]:
    """Start `decube up` on an empty directory; returns the address of its etcd port."""

    def start() -> str:
        process = NodeProcess(_empty(tmp_path / f"decube-{len(servers)}"))
        servers.append(process)
        process.ensure_started()
        return process.etcd_address

    return start


def _empty(directory: Path) -> Path:
    directory.mkdir()
    return directory
