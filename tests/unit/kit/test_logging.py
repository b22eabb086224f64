"""Logs: one schema whoever logs, secrets masked, the level honoured."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from decube.kit import logging as logs
from decube.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.raiseExceptions)
    yield
    for handler in list(root.handlers):
        if handler not in before[0]:
            handler.close()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logging.raiseExceptions = before[2]
    structlog.reset_defaults()


@pytest.fixture
def logged(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    path = tmp_path / "decube.log"
    logs.configure(level="info", form="json", output=str(path))

    def events() -> list[dict[str, Any]]:
        logging.getLogger().handlers[0].flush()
        return [json.loads(line) for line in path.read_text().splitlines()]

    return events


def test_python_libraries_and_rust_share_one_schema(
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    structlog.get_logger("decube.a").info("pod created", pod="web")
    logging.getLogger("library.b").warning("careful: %s", "hot")
    logs.forward(0.5, "warn", "decube_engine::log", "segment closed", {"bytes": 7, "level": "x"})
    ours, library, rust = logged()
    assert list(ours) == ["timestamp", "level", "logger", "event", "pod"]
    assert (ours["level"], ours["logger"], ours["event"]) == ("info", "decube.a", "pod created")
    assert ours["timestamp"].endswith("Z")
    assert (library["level"], library["event"]) == ("warning", "careful: hot")
    assert rust == {
        "timestamp": "1970-01-01T00:00:00.500000Z",
        "level": "warning",
        "logger": "decube_engine.log",
        "event": "segment closed",
        "bytes": 7,
        "level_": "x",
    }


def test_an_exception_is_told_with_its_chain(logged: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        int("the cause")
    except ValueError:
        structlog.get_logger("decube.a").exception("it broke")
    (event,) = logged()
    assert "ValueError: invalid literal" in event["exception"]


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "token", "api_token", "Authorization"]
)
def test_fields_that_hold_secrets_are_masked(
    logged: Callable[[], list[dict[str, Any]]], name: str
) -> None:
    structlog.get_logger("decube.a").info("signed in", **{name: "hunter2"})
    logs.forward(0, "info", "rust", "signed in", {name: "hunter2"})
    assert [event[name] for event in logged()] == [logs.MASK, logs.MASK]


def test_the_level_holds_for_all(logged: Callable[[], list[dict[str, Any]]]) -> None:
    structlog.get_logger("decube.a").debug("no")
    logging.getLogger("library").debug("no")
    logging.getLogger("uvicorn.error").info("Started server process")
    logs.forward(0, "debug", "rust", "no", {})
    assert logged() == []


def test_console_is_for_people(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logs.configure(level="info", form="console", output=str(path))
    structlog.get_logger("decube.a").info("pod created", pod="web")
    logging.getLogger().handlers[0].flush()
    (line,) = path.read_text().splitlines()
    assert "pod created" in line
    assert "pod=web" in line


def test_the_end_of_a_process_says_nothing_of_a_log_file_that_was_refused(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from decube.kit import logging\n"
        "try:\n"
        "    logging.configure(level='info', form='json', output=sys.argv[1])\n"
        "except logging.Invalid as error:\n"
        "    kept = error\n"
        "sys.exit(2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "absent" / "log"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "")


def test_a_log_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"cannot write the log file .*No such file"):
        logs.configure(level="info", form="json", output=str(tmp_path / "absent" / "log"))
