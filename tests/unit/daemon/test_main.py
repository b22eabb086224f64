"""A node in this process: what a part that fails does to the whole."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

import httpx2
import pytest

from decube.config.load import Loaded, load
from decube.daemon import node
from decube.daemon.data_directory import DataDirectory
from decube.daemon.main import run
from decube.kit.errors import Corrupt, DecubeError, Internal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from decube.daemon.background import Surroundings


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    flags = {
        "node.data_dir": str(tmp_path),
        "node.listen_address": "127.0.0.1:0",
        "api.rest.address": "127.0.0.1:0",
        "api.grpc.enabled": "false",
        "store.engine": "memory",
        "logging.output": str(tmp_path / "log"),
    }
    return load(flags=[(key, value, "test") for key, value in flags.items()])


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = True


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(Corrupt("a row is damaged"), Corrupt), (ValueError("a defect"), Internal)],
)
def test_a_background_task_that_fails_stops_the_node_in_good_order(
    loaded: Loaded,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    expected: type[DecubeError],
    tmp_path: Path,
) -> None:
    addresses = []

    def start_failing_task(
        surroundings: Surroundings, tasks: asyncio.TaskGroup
    ) -> list[asyncio.Task[None]]:
        async def fail() -> None:
            addresses.append(surroundings.facts.rest_address)
            ready = threading.Event()
            await asyncio.to_thread(tell_when_written, tmp_path / "node.json", ready)
            raise failure

        return [tasks.create_task(fail(), name="failing")]

    monkeypatch.setattr(node, "start_background", start_failing_task)
    with pytest.raises(expected):
        run(loaded)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://{addresses[0]}/health")
    with DataDirectory(tmp_path):
        assert not (tmp_path / "node.json").exists()


def test_a_signal_ends_it_with_0_and_it_can_be_run_again(loaded: Loaded, tmp_path: Path) -> None:
    def stop_when_ready() -> None:
        ready.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    for _ in range(2):
        ready = threading.Event()
        stopper = threading.Thread(target=stop_when_ready)
        stopper.start()
        watcher = threading.Thread(target=tell_when_written, args=(tmp_path / "node.json", ready))
        watcher.start()
        assert run(loaded) == 0
        stopper.join()
        watcher.join()


def tell_when_written(file: Path, ready: threading.Event) -> None:
    for _ in range(3000):
        if file.exists():
            break
        ready.wait(0.01)
    ready.set()
