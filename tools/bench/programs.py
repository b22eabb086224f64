"""The client programs that drive the servers, each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tools.bench.figures import Sample
from tools.bench.processes import PEERS, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENT_SECONDS_MAX = 900
MICROSECONDS = 1e6


class FailedError(Exception):
    """A load did not do what it is to do; there is no figure of it."""


def client(*arguments: str) -> str:
    """Run a client program from the peers; its output, or an error that shows why it failed."""
    done = subprocess.run(
        [str(PEERS / arguments[0]), *arguments[1:]],
        check=False,
        capture_output=True,
        text=True,
        timeout=CLIENT_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise FailedError(f"{' '.join(arguments)}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def number(pattern: str, text: str) -> float:
    """Find a figure in a client's report; the last one, where there are several reports."""
    found = re.findall(pattern, text)
    if not found:
        raise FailedError(f"no {pattern!r} in the client's report:\n{text}")
    return float(found[-1])


def measured(server: Server, run: Callable[[], tuple[int, float, float, float]]) -> Sample:
    """Run a client and charge the CPU that the server used meanwhile to its operations."""
    before = server.cpu_s()
    operations, rate, p50_ms, p99_ms = run()
    cpu_us = (server.cpu_s() - before) * MICROSECONDS / operations
    return Sample(rate, cpu_us, p50_ms, p99_ms)


def etcd_benchmark(
    server: Server,
    operations: int,
    *arguments: str,
    clients: int = 1000,
    connections: int = 100,
) -> Sample:
    """Drive a server with etcd's own `benchmark`."""

    def run() -> tuple[int, float, float, float]:
        report = client(
            "benchmark", f"--endpoints={server.address('etcd')}", f"--conns={connections}",
            f"--clients={clients}", *arguments,
        )  # fmt: skip
        if "Error distribution" in report:
            raise FailedError(f"{server.name} refused some requests:\n{report}")
        return (
            operations,
            number(r"Requests/sec:\s+([\d.]+)", report),
            number(r"50% in ([\d.]+) secs", report) * 1000,
            number(r"99% in ([\d.]+) secs", report) * 1000,
        )

    return measured(server, run)


def kubeload_command(server: Server, load: str, **flags: float | str) -> list[str]:
    """Build the command that drives a server with `kubeload`, and charges it with its CPU."""
    settings = {"endpoint": server.address("etcd"), "server-pid": server.pid, **flags}
    options = [f"-{name.replace('_', '-')}={value}" for name, value in settings.items()]
    return ["kubeload", load, *options]


def kubeload(server: Server, load: str, **flags: float | str) -> dict[str, dict[str, Any]]:
    """Drive a server with `kubeload`; what it measured, by load or phase."""
    lines = client(*kubeload_command(server, load, **flags)).splitlines()
    return {measured["load"]: measured for measured in map(json.loads, lines)}


def sample(measured: dict[str, Any]) -> Sample:
    """Read a measurement of `kubeload`."""
    return Sample(*(measured[name] for name in ("rate", "server_cpu_us", "p50_ms", "p99_ms")))


class Held:
    """A client that runs until its input is closed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def wait_until_said(self, word: str) -> None:
        """Wait for a line of its output."""
        said = self._process.stdout.readline() if self._process.stdout else ""
        if said.strip() != word:
            raise FailedError(f"a client did not say {word!r} but {said!r}")

    def end(self) -> dict[str, Any]:
        """Close its input; what it measured, if it measures."""
        output, _ = self._process.communicate(timeout=CLIENT_SECONDS_MAX)
        if self._process.returncode != 0:
            raise FailedError(f"{self._process.args!r} failed: see its output above")
        last = output.splitlines()[-1:]
        return dict(json.loads(last[0])) if last else {}


@contextmanager
def held(command: list[str]) -> Iterator[Held]:
    """Run a client in the background, to be ended by the block."""
    process = subprocess.Popen(
        [str(PEERS / command[0]), *command[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Held(process)
    finally:
        process.kill()
        process.wait()
