"""Real server processes for the tests: `decube up`, and a real etcd beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.peers import peer
from tools import servers
from tools.servers import DECUBE, READY_SECONDS_MAX, NodeProcess, ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "DECUBE",
    "READY_SECONDS_MAX",
    "EtcdProcess",
    "NodeProcess",
    "ServerProcess",
]


class EtcdProcess(servers.EtcdProcess):
    """A real etcd 3.7.1 of one member; skips the test where it is not built."""

    def __init__(self, directory: Path, *flags: str) -> None:
        peer("server")
        super().__init__(directory, *flags)
