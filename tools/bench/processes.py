"""Starts the servers under test and reads what they cost from the kernel's books."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.ports import free_port
from tools.servers import PEERS, ROOT, EtcdProcess, NodeProcess, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ETCD", "KINE", "PEERS", "Server", "bare", "decube", "etcd", "kine", "require_real_disk"]

PYTHON = ROOT / ".venv" / "bin" / "python"
ETCD = "etcd 3.7.1"
KINE = PEERS / "kine"
REST_SECONDS_MAX = 60.0
REST_WINDOW_S = 1.0
# Its own defaults, with a sync of every commit, and patience for many writers.
KINE_OPTIONS = "?_journal=WAL&cache=shared&_txlock=immediate&_synchronous=FULL&_busy_timeout=300000"


@dataclass
class Server:
    """A running server: `ports` by what they serve.

    `start_s` until it was ready, `stop_s` until it had ended before that.
    """

    name: str
    process: ServerProcess
    ports: Mapping[str, int]
    start_s: float
    stop_s: float = 0.0

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self.process.pid

    def restart(self, *, kill: bool) -> float:
        """End it, by `kill -9` or as it should be, and start it on its data; seconds to ready."""
        begun_s = time.monotonic()
        if kill:
            self.process.kill()
        else:
            self.process.stop()
        self.stop_s = time.monotonic() - begun_s
        self.start_s = started(self.process)
        return self.start_s

    def address(self, what: str) -> str:
        """Tell where it listens for `what`."""
        return f"127.0.0.1:{self.ports[what]}"

    def cpu_s(self) -> float:
        """Tell the processor time that all its threads have used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Tell its resident memory."""
        return self._status_bytes("VmRSS")

    def disk_written_bytes(self) -> int:
        """Tell the bytes that it has made the system write to the disk."""
        for line in Path(f"/proc/{self.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise RuntimeError(f"no write_bytes of process {self.pid}")

    def wait_until_at_rest(self) -> None:
        """Wait until it writes nothing of its own accord, as checkpoints are."""
        deadline_s = time.monotonic() + REST_SECONDS_MAX
        written = -1
        while written != (now := self.disk_written_bytes()) and time.monotonic() < deadline_s:
            written = now
            time.sleep(REST_WINDOW_S)  # noqa: TID251 - between two looks at another process

    def reset_peak_memory(self) -> int:
        """Let the peak begin at what it has now; tell that."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.memory_bytes()

    def peak_memory_bytes(self) -> int:
        """Tell the most resident memory since the reset, or its start."""
        return self._status_bytes("VmHWM")

    def _status_bytes(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no {name} of process {self.pid}")


def require_real_disk(path: Path) -> str:
    """Tell the file system under `path`; refuse memory, where an fsync costs nothing."""
    command = ["stat", "-f", "-c", "%T", str(path)]
    kind = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    if kind in {"tmpfs", "ramfs"}:
        raise SystemExit(f"bench: {path} is on {kind}: choose a directory on a disk (--dir)")
    return kind


def started(process: ServerProcess) -> float:
    """Start a server; the seconds until its ready URL said so, though all of it is ready then."""
    begun = time.perf_counter()
    process.start()
    ServerProcess.wait_until_ready(process)
    start_s = time.perf_counter() - begun
    process.wait_until_ready()
    return start_s


@contextmanager
def running(name: str, process: ServerProcess, ports: Mapping[str, int]) -> Iterator[Server]:
    """Run a server until the block ends."""
    try:
        yield Server(name, process, ports, started(process))
    finally:
        try:
            process.stop()
        finally:
            process.kill()


def _empty(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


@contextmanager
def etcd(directory: Path) -> Iterator[Server]:
    """Run a real etcd on an empty directory, with a quota that no load here reaches."""
    process = EtcdProcess(_empty(directory), "--quota-backend-bytes=17179869184")
    with running(ETCD, process, process.ports) as server:
        yield server


@contextmanager
def decube(directory: Path, *, ready: str = "etcd", **settings: str) -> Iterator[Server]:
    """Run `decube up` on an empty directory; `ready` says whose readiness `start_s` tells."""
    process = NodeProcess(_empty(directory), DECUBE_LOGGING_LEVEL="warning", **settings)
    paths = {"etcd": "readyz", "rest": "health"}
    process.ready_url = f"http://127.0.0.1:{process.ports[ready]}/{paths[ready]}"
    with running("DeCube", process, process.ports) as server:
        yield server


@contextmanager
def kine(directory: Path) -> Iterator[Server]:
    """Run kine on an empty SQLite database, which syncs every commit."""
    if not KINE.exists():
        raise FileNotFoundError("it was not built, see tools/peers/kine")
    port, metrics = free_port(), free_port()
    database = _empty(directory) / "kine.db"
    command = [
        str(KINE),
        f"--listen-address=tcp://127.0.0.1:{port}",
        f"--endpoint=sqlite://{database}{KINE_OPTIONS}",
        f"--metrics-bind-address=127.0.0.1:{metrics}",
    ]
    url = f"http://127.0.0.1:{metrics}/metrics"
    process = ServerProcess(command, url, directory / "kine.log")
    with running("kine, sqlite", process, {"etcd": port}) as server:
        yield server


@contextmanager
def bare(kind: str, directory: Path) -> Iterator[Server]:
    """Run a handler that does nothing, on the framework that serves `kind` (rest or grpc)."""
    directory.mkdir(parents=True, exist_ok=True)
    port, health = free_port(), free_port()
    command = [str(PYTHON), "-m", f"tools.bench.bare_{kind}", str(port), str(health)]
    url = f"http://127.0.0.1:{port if kind == 'rest' else health}/"
    process = ServerProcess(command, url, directory / f"{kind}.log")
    process.environment = {"PYTHONPATH": str(ROOT)}
    with running(f"bare {kind}", process, {kind: port}) as server:
        yield server
