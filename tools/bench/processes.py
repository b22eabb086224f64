"""Starts the servers under test and reads what they cost from the kernel's books."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tools" / "peers" / "bin"
DECUBE = ROOT / ".venv" / "bin" / "decube"
PYTHON = ROOT / ".venv" / "bin" / "python"
START_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Server:
    """A running server: `ports` by what they serve, `start_s` until it was ready."""

    name: str
    pid: int
    ports: Mapping[str, int]
    start_s: float

    def address(self, what: str) -> str:
        """Tell where it listens for `what`."""
        return f"127.0.0.1:{self.ports[what]}"

    def cpu_s(self) -> float:
        """Tell the processor time that all its threads have used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Tell its resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no VmRSS of process {self.pid}")


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_real_disk(path: Path) -> str:
    """Tell the file system under `path`; refuse memory, where an fsync costs nothing."""
    command = ["stat", "-f", "-c", "%T", str(path)]
    kind = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    if kind in {"tmpfs", "ramfs"}:
        raise SystemExit(f"bench: {path} is on {kind}: choose a directory on a disk (--dir)")
    return kind


def wait_until_ok(url: str, process: subprocess.Popen[bytes], log: Path) -> float:
    """Wait until `url` answers 200; return how long it took."""
    start = time.perf_counter()
    while time.perf_counter() - start < START_SECONDS_MAX:
        if process.poll() is not None:
            raise SystemExit(f"bench: a server ended with {process.returncode}: {log.read_text()}")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - http by construction
                if answer.status == 200:  # noqa: PLR2004 - the HTTP status
                    return time.perf_counter() - start
        except (urllib.error.URLError, OSError):
            time.sleep(0.005)  # noqa: TID251 - a bounded wait for a level, outside the product
    raise SystemExit(f"bench: {url} was not ready within {START_SECONDS_MAX:.0f} s")


@contextmanager
def running(
    command: list[str], *, environment: Mapping[str, str], log: Path, ready_url: str
) -> Iterator[tuple[int, float]]:
    """Run a server until the block ends; yields its pid and the seconds until it was ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield process.pid, wait_until_ok(ready_url, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def etcd(directory: Path) -> Iterator[Server]:
    """Run a real etcd on an empty directory, with a quota that no load here reaches."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    client, peer = free_port(), free_port()
    command = [
        str(PEERS / "server"),
        f"--data-dir={directory / 'data'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--quota-backend-bytes=17179869184",
        "--log-level=error",
    ]
    url = f"http://127.0.0.1:{client}/readyz"
    with running(command, environment={}, log=directory / "log", ready_url=url) as (pid, start_s):
        yield Server("etcd 3.7.1", pid, {"etcd": client}, start_s)


@contextmanager
def decube(directory: Path, *, ready: str = "etcd") -> Iterator[Server]:
    """Run `decube up` on an empty directory; `ready` says whose readiness `start_s` tells."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    ports = {"etcd": free_port(), "rest": free_port(), "grpc": free_port()}
    environment = {
        "DECUBE_NODE_DATA_DIR": str(directory / "data"),
        "DECUBE_NODE_LISTEN_ADDRESS": f"127.0.0.1:{ports['etcd']}",
        "DECUBE_API_REST_ADDRESS": f"127.0.0.1:{ports['rest']}",
        "DECUBE_API_GRPC_ADDRESS": f"127.0.0.1:{ports['grpc']}",
        "DECUBE_LOGGING_LEVEL": "warning",
    }
    paths = {"etcd": "readyz", "rest": "health"}
    url = f"http://127.0.0.1:{ports[ready]}/{paths[ready]}"
    log = directory / "log"
    with running([str(DECUBE), "up"], environment=environment, log=log, ready_url=url) as (
        pid,
        start_s,
    ):
        wait_until_written(directory / "data" / "node.json")
        yield Server("decube", pid, ports, start_s)


def wait_until_written(file: Path) -> None:
    """Wait for the file that a node writes when all its listeners are open, gRPC the last."""
    deadline = time.perf_counter() + START_SECONDS_MAX
    while not file.exists():
        if time.perf_counter() > deadline:
            raise SystemExit(f"bench: {file} was not written within {START_SECONDS_MAX:.0f} s")
        time.sleep(0.02)  # noqa: TID251 - a bounded wait for a level, outside the product


@contextmanager
def bare(kind: str, directory: Path) -> Iterator[Server]:
    """Run a handler that does nothing, on the framework that serves `kind` (rest or grpc)."""
    directory.mkdir(parents=True, exist_ok=True)
    port, health = free_port(), free_port()
    module = f"tools.bench.bare_{kind}"
    url = f"http://127.0.0.1:{port if kind == 'rest' else health}/"
    command = [str(PYTHON), "-m", module, str(port), str(health)]
    with running(
        command, environment={"PYTHONPATH": str(ROOT)}, log=directory / f"{kind}.log", ready_url=url
    ) as (pid, start_s):
        yield Server(f"bare {kind}", pid, {kind: port}, start_s)
