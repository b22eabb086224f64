"""Servers as processes of their own: for the tests, and for `make bench`.

Ports are chosen before the start and kept across restarts, so that clients can come back. What the
shell has set for a `decube` of its user (`DECUBE_...`) does not reach the servers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tools.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

ROOT = Path(__file__).resolve().parents[1]
DECUBE = ROOT / ".venv" / "bin" / "decube"
PEERS = ROOT / "tools" / "peers" / "bin"
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
_LOOK_AGAIN_S = 0.005


class NotReadyError(AssertionError):
    """The server ended, or did not get ready in time; the text has the end of its output."""


class ServerProcess:
    """A server that can be started, killed and started again on the same data and ports.

    As a context it is killed at the end of its block.
    """

    def __init__(self, command: list[str], ready_url: str, log: Path) -> None:
        self.command = command
        self.ready_url = ready_url
        self.log = log
        self.environment: Mapping[str, str] = {}
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process; it must have been started."""
        if self.process is None:
            raise NotReadyError(f"{self.command[0]} was not started")
        return self.process

    @property
    def pid(self) -> int:
        """The running process."""
        return self.running.pid

    def ensure_started(self) -> None:
        """Start it unless it runs, and wait until it is ready."""
        if self.process is None:
            self.start()
        self.wait_until_ready()

    def start(self) -> None:
        """Start it, without waiting."""
        self.starts += 1
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("DECUBE_")}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env={**inherited, **self.environment}, stdout=output, stderr=output
            )

    def wait_until_ready(self) -> None:
        """Wait until the ready URL answers 200."""
        status = "never asked"
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            self.require_alive()
            try:
                with urllib.request.urlopen(self.ready_url, timeout=5):  # noqa: S310 - http
                    return
            except (urllib.error.URLError, OSError) as error:
                status = str(error)
                time.sleep(_LOOK_AGAIN_S)  # noqa: TID251 - between two looks at another process
        raise NotReadyError(f"{self.ready_url} was not ready ({status}): {self.said()}")

    def wait_until_written(self, file: Path, text: str) -> None:
        """Wait until the server has written a file that contains `text`."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not (file.exists() and text in file.read_text()):
            self.require_alive()
            if time.monotonic() > deadline:
                raise NotReadyError(f"{file} never told {text}: {self.said()}")
            time.sleep(_LOOK_AGAIN_S)  # noqa: TID251 - between two looks at another process

    def require_alive(self) -> None:
        """Raise if the process has ended."""
        if (code := self.running.poll()) is not None:
            raise NotReadyError(f"{self.command[0]} ended with {code}: {self.said()}")

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
        process = self.running
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=STOP_SECONDS_MAX)
        self.process = None
        return code


class NodeProcess(ServerProcess):
    """`decube up` on ports and a data directory of its own; ready when all of it listens."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        self.ports = {name: free_port() for name in ("etcd", "rest", "grpc")}
        self.etcd_address, self.rest_address, self.grpc_address = (
            f"127.0.0.1:{self.ports[name]}" for name in ("etcd", "rest", "grpc")
        )
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
        """Wait for the URL, and then for the node's file: it comes when all listeners are open."""
        super().wait_until_ready()
        directory = Path(self.environment["DECUBE_NODE_DATA_DIR"])
        self.wait_until_written(directory / "node.json", f'"pid": {self.pid},')


class EtcdProcess(ServerProcess):
    """A real etcd 3.7.1 of one member."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self.ports = {"etcd": free_port(), "peer": free_port()}
        self.etcd_address = f"127.0.0.1:{self.ports['etcd']}"
        client, peer = f"http://{self.etcd_address}", f"http://127.0.0.1:{self.ports['peer']}"
        command = [
            str(PEERS / "server"),
            f"--data-dir={directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=error",
            *flags,
        ]
        super().__init__(command, f"{client}/readyz", directory / "etcd.log")
