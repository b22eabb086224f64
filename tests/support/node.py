"""Real server processes for the tests: `decube up`, and a real etcd beside it.

Ports are chosen before the start and kept across restarts, so that clients can come back.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.peers import peer

if TYPE_CHECKING:
    from collections.abc import Mapping

DECUBE = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "decube"
READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 20.0


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A server that can be started, killed and started again on the same data and ports."""

    def __init__(self, command: list[str], ready_url: str, log: Path) -> None:
        self.command = command
        self.ready_url = ready_url
        self.log = log
        self.environment: Mapping[str, str] = {}
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running process."""
        assert self.process is not None, "the server was not started"
        return self.process.pid

    def ensure_started(self) -> None:
        """Start it unless it runs, and wait until it is ready."""
        if self.process is None:
            self.start()
        self.wait_until_ready()

    def start(self) -> None:
        """Start it, without waiting."""
        self.starts += 1
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env={**os.environ, **self.environment}, stdout=output, stderr=output
            )

    def wait_until_ready(self) -> None:
        """Wait until the ready URL answers; tell what the server said if it never does."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        status = "never asked"
        while time.monotonic() < deadline:
            assert self.process is not None, "the server was not started"
            if (code := self.process.poll()) is not None:
                raise AssertionError(f"{self.command[0]} ended with {code}: {self.said()}")
            try:
                with urllib.request.urlopen(self.ready_url, timeout=5):  # noqa: S310 - http
                    return
            except (urllib.error.URLError, OSError) as error:
                status = str(error)
                time.sleep(0.01)  # noqa: TID251 - between two looks at another process
        raise AssertionError(f"{self.ready_url} was not ready ({status}): {self.said()}")

    def said(self) -> str:
        """Return the end of the server's output."""
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        assert self.process is not None, "the server was not started"
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=STOP_SECONDS_MAX)
        self.process = None
        return code


class NodeProcess(ServerProcess):
    """`decube up` on ports and a data directory of its own; ready when all of it listens."""

    def __init__(self, directory: Path, **settings: str) -> None:
        ports = {name: free_port() for name in ("etcd", "rest", "grpc")}
        self.directory = directory
        self.etcd_address = f"127.0.0.1:{ports['etcd']}"
        self.rest_address = f"127.0.0.1:{ports['rest']}"
        self.grpc_address = f"127.0.0.1:{ports['grpc']}"
        super().__init__(
            [str(DECUBE), "up"], f"http://{self.rest_address}/health", directory / "log"
        )
        self.environment = {
            "DECUBE_NODE_DATA_DIR": str(directory / "data"),
            "DECUBE_NODE_LISTEN_ADDRESS": self.etcd_address,
            "DECUBE_API_REST_ADDRESS": self.rest_address,
            "DECUBE_API_GRPC_ADDRESS": self.grpc_address,
            **settings,
        }

    def wait_until_ready(self) -> None:
        """Wait for REST, and then for the node's file: it comes last, when gRPC listens as well."""
        super().wait_until_ready()
        data = self.environment.get("DECUBE_NODE_DATA_DIR", "")
        file = Path(data) / "node.json"
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not (file.exists() and f'"pid": {self.pid},' in file.read_text()):
            assert time.monotonic() < deadline, f"{file} never told process {self.pid}"
            assert self.process is not None, "the server was not started"
            assert self.process.poll() is None, f"it ended: {self.said()}"
            time.sleep(0.01)  # noqa: TID251 - between two looks at another process


class EtcdProcess(ServerProcess):
    """A real etcd 3.7.1 of one member; skips the test where it is not built."""

    def __init__(self, directory: Path) -> None:
        client, peers = free_port(), free_port()
        self.etcd_address = f"127.0.0.1:{client}"
        command = [
            peer("server"),
            f"--data-dir={directory / 'etcd'}",
            f"--listen-client-urls=http://{self.etcd_address}",
            f"--advertise-client-urls=http://{self.etcd_address}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-cluster=default=http://127.0.0.1:{peers}",
            "--log-level=error",
        ]
        super().__init__(command, f"http://{self.etcd_address}/readyz", directory / "etcd.log")
