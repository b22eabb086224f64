"""Histories as etcd's own robustness tests make and judge them (docs/robustness.md).

A history is what clients of one store did and saw from its first revision on, while something
happened to the store. The program `robustness` of tools/peers drives the clients and holds what
they saw against etcd's model and watch guarantees, with the store's own log for what was done.
"""

from __future__ import annotations

import asyncio
import json
import os
import random  # noqa: TID251 - the moments of faults, of a recorded seed
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.faults import FAULTS, Scene
from tests.support.node import EtcdProcess, NodeProcess, ServerProcess
from tests.support.peers import peer
from tests.support.tcp_proxy import TcpProxy
from tools.ports import free_port
from tools.servers import DECUBE, ROOT

from decube.kit.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable

STORE_UNDER_TEST = (
    Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/examples/store_under_test"
)
END_SECONDS_MAX = 60.0
VERDICT_SECONDS_MAX = 400.0
VIOLATION = 1


@dataclass(frozen=True)
class Target:
    """A store to be tried: its process, its port, and what `validate` is told of its log."""

    server: ServerProcess
    etcd_address: str
    data: Path
    log_arguments: Callable[[Path], list[str]]


@dataclass(frozen=True)
class Plan:
    """What the clients do, what happens to the store, and the seed of the moments at which."""

    mix: str
    faults: tuple[str, ...] = ()
    seed: int = 0
    seconds: float = 0.7
    # How long the watch that sees everything may take to get the last events.
    settle_s: int = 10


@dataclass(frozen=True)
class Verdict:
    """What etcd's validators say; `details` is for people."""

    violated: bool
    linearization: str = ""
    watch: str = ""
    serializable: str = ""
    details: str = ""


@dataclass
class Totals:
    """What many histories amount to."""

    histories: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, plan: Plan, summary: dict[str, Any]) -> None:
        """Count a history."""
        self.histories += 1
        for fault in plan.faults:
            self.faults[fault] = self.faults.get(fault, 0) + 1
        for name in ("operations", "unknown", "watches", "events", "progress_notifications"):
            self.counts[name] = self.counts.get(name, 0) + summary[name]


def decube_target(directory: Path) -> Target:
    """`decube up` as it is shipped."""
    settings = {"DECUBE_ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL": "100ms"}
    node = NodeProcess(directory, **settings)
    return Target(node, node.etcd_address, directory / "data", dumped(directory / "data"))


def etcd_target(directory: Path) -> Target:
    """Start from a real etcd, which has to be accepted."""
    etcd = EtcdProcess(directory, "--watch-progress-notify-interval=100ms")
    data = directory / "etcd"
    return Target(etcd, etcd.etcd_address, data, lambda _: [f"-etcd-data={data}"])


def troubled_target(directory: Path, defect: str = "") -> Target:
    """Return the build for tests, whose disk can be troubled, and which may have a defect."""
    if not STORE_UNDER_TEST.exists():
        pytest.skip("the store under test is not built: `make store-under-test`")
    address, data = f"127.0.0.1:{free_port()}", directory / "data"
    data.mkdir()
    server = ServerProcess(
        [str(STORE_UNDER_TEST), address, str(data)],
        f"http://{address}/readyz",
        directory / "log",
    )
    server.environment = {"DECUBE_DEFECT": defect} if defect else {}
    return Target(server, address, data, dumped(data))


def dumped(data: Path) -> Callable[[Path], list[str]]:
    """Return how the log of a store of ours is given to the validators."""

    def dump(report: Path) -> list[str]:
        operations = report / "operations.jsonl"
        command = [str(DECUBE), "store", "dump-log", f"--data-dir={data}", "-o", "json"]
        with operations.open("wb") as output:
            subprocess.run(command, stdout=output, check=True, timeout=END_SECONDS_MAX)
        return [f"-operations={operations}"]

    return dump


async def make_history(target: Target, plan: Plan, report: Path) -> dict[str, Any]:
    """Run the plan against a fresh store and stop that; returns figures of what was recorded."""
    dice = random.Random(plan.seed)  # noqa: S311 - guards no secret
    target.server.ensure_started()
    async with TcpProxy(target.etcd_address) as proxy:
        scene = Scene(target.server, proxy, target.data / "trouble", dice)
        traffic = await asyncio.create_subprocess_exec(
            peer("robustness"), "traffic",
            f"-endpoint={proxy.address}", f"-mix={plan.mix}", f"-report={report}",
            f"-settle={plan.settle_s}s",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            require(traffic.stdout is not None, "it has a pipe")
            async with asyncio.timeout(END_SECONDS_MAX):
                await traffic.stdout.readline()
            for fault in plan.faults:
                await asyncio.sleep(plan.seconds * dice.uniform(0.6, 1.4))
                await FAULTS[fault](scene)
            await asyncio.sleep(plan.seconds * dice.uniform(0.6, 1.4))
            async with asyncio.timeout(END_SECONDS_MAX):
                # Its input ends, and with that the traffic.
                told, errors = await traffic.communicate(b"")
        finally:
            if traffic.returncode is None:
                traffic.kill()
                await traffic.wait()
    assert traffic.returncode == 0, f"{plan}: {errors.decode()}\n{target.server.said()}"
    target.server.stop()
    summary: dict[str, Any] = json.loads(told)
    return summary


async def judge(target: Target, report: Path) -> Verdict:
    """Hold a history against the store's log, which must not run any more."""
    arguments = await asyncio.to_thread(target.log_arguments, report)
    validation = await asyncio.create_subprocess_exec(
        peer("robustness"), "validate", f"-report={report}", *arguments,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(VERDICT_SECONDS_MAX):
            told, errors = await validation.communicate()
    finally:
        if validation.returncode is None:
            validation.kill()
            await validation.wait()
    assert validation.returncode in {0, VIOLATION}, f"{report}: {errors.decode()}"
    said = json.loads(told.splitlines()[-1])
    return Verdict(
        violated=validation.returncode == VIOLATION,
        linearization=said["linearization"],
        watch=said["watch"],
        serializable=said["serializable"],
        details=errors.decode()[-4000:],
    )


class Trials:
    """Makes histories of fresh stores, one after the other; what was accepted is removed."""

    def __init__(self, directory: Path, servers: list[ServerProcess]) -> None:
        self._directory = directory
        self._servers = servers

    async def run(
        self, make: Callable[[Path], Target], plan: Plan
    ) -> tuple[dict[str, Any], Verdict]:
        """Return figures of the history, and the verdict."""
        directory = self._directory / str(len(self._servers))
        directory.mkdir()
        target = make(directory)
        self._servers.append(target.server)
        summary = await make_history(target, plan, directory / "report")
        verdict = await judge(target, directory / "report")
        if not verdict.violated:
            shutil.rmtree(directory)
        return summary, verdict
