"""Which data directory it is, that it is locked, and what is told when it cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from decube.daemon import data_directory
from decube.daemon.data_directory import LOCK_FILE, NODE_FILE, DataDirectory, choose
from decube.daemon.exits import ExitCode, StartFailure

if TYPE_CHECKING:
    from pathlib import Path

AS_ROOT = os.geteuid() == 0


def test_the_configured_directory_is_used_as_it_is(tmp_path: Path) -> None:
    assert choose(str(tmp_path / "x"), {}) == tmp_path / "x"


def test_the_system_directory_is_the_default_where_it_is_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_directory, "SYSTEM_DIRECTORY", tmp_path / "decube")
    assert choose("", {}) == tmp_path / "decube"


@pytest.mark.parametrize(
    ("state", "expected"),
    [("/somewhere/state", "/somewhere/state/decube"), ("", "~"), ("relative/is/ignored", "~")],
)
def test_else_it_is_in_the_users_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, expected: str
) -> None:
    monkeypatch.setattr(data_directory, "SYSTEM_DIRECTORY", tmp_path / "absent" / "decube")
    monkeypatch.setenv("HOME", str(tmp_path))
    chosen = str(choose("", {"XDG_STATE_HOME": state}))
    assert chosen == (expected if expected != "~" else f"{tmp_path}/.local/state/decube")


def test_a_second_process_is_refused_and_told_the_pid(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from decube.daemon.data_directory import DataDirectory\n"
        "with DataDirectory(pathlib.Path(sys.argv[1])):\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(StartFailure, match=f"in use by process {other.pid}") as caught:
            DataDirectory(tmp_path).__enter__()
        assert caught.value.exit_code == ExitCode.DATA_DIRECTORY_IN_USE
        other.kill()
    with DataDirectory(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_the_nodes_facts_are_there_while_it_runs(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "new" / "data") as directory:
        assert directory.path.stat().st_mode & 0o777 == 0o700
        directory.publish({"pid": 7})
        assert json.loads((directory.path / NODE_FILE).read_text()) == {"pid": 7}
        directory.publish({"pid": 8})
        assert json.loads((directory.path / NODE_FILE).read_text()) == {"pid": 8}
    assert [entry.name for entry in directory.path.iterdir()] == [LOCK_FILE]


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartFailure, match="there is a file where a directory should be") as caught:
        DataDirectory(tmp_path / "file").__enter__()
    assert caught.value.exit_code == ExitCode.DATA_DIRECTORY_NOT_WRITABLE


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_directory_of_somebody_else_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StartFailure, match="permission denied") as caught:
        DataDirectory(tmp_path).__enter__()
    assert caught.value.exit_code == ExitCode.DATA_DIRECTORY_NOT_WRITABLE


def test_no_room_is_told_apart(tmp_path: Path) -> None:
    error = OSError(28, "No space left on device")
    failure = data_directory.unusable(tmp_path, error)
    assert failure.exit_code == ExitCode.DISK_FULL
    assert "no room in the data directory" in failure.message
