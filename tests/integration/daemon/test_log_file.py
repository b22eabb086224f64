"""`logging.output` as a file of a running node: moved away by somebody, and reopened by SIGHUP."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import NodeProcess


def test_old_log_files_go_by_number_and_by_age(node: NodeProcess, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()

    def add(*years: int) -> None:
        for year in years:
            (logs / f"node-{year}-01-01T00-00-00.000.log").touch()

    def years() -> list[int]:
        return sorted(int(file.name[5:9]) for file in logs.glob("node-*"))

    node.environment = {
        **node.environment,
        "DECUBE_LOGGING_OUTPUT": str(logs / "node.log"),
        "DECUBE_LOGGING_MAX_BACKUPS": "2",
        "DECUBE_LOGGING_MAX_AGE": "1",
        "DECUBE_STORE_ENGINE": "memory",
    }
    add(2020, 2999)
    node.ensure_started()
    wait_until(lambda: years() == [2999], "the one that is too old was removed")
    assert node.stop() == 0
    add(2997, 2998)
    node.ensure_started()
    wait_until(lambda: years() == [2998, 2999], "the one that is too many was removed")


def test_a_node_whose_log_was_moved_away_makes_a_new_one(node: NodeProcess, tmp_path: Path) -> None:
    log, moved = tmp_path / "node.log", tmp_path / "node.log.1"
    settings = {"DECUBE_LOGGING_OUTPUT": str(log), "DECUBE_LOGGING_MAX_SIZE": "1"}
    node.environment = {**node.environment, **settings}
    node.ensure_started()
    wait_until(lambda: '"ready"' in log.read_text(), "the node logged that it is ready")
    assert node.process is not None
    log.rename(moved)
    node.process.send_signal(signal.SIGHUP)
    wait_until(log.exists, "SIGHUP made a new file")
    log.unlink()
    assert node.stop() == 0
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert any(event.startswith("stopping") for event in events), events
