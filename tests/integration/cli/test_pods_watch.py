"""`decube pods watch`: across restarts, until Ctrl-C, into a pipe that closes."""

from __future__ import annotations

import json
import signal
from typing import IO, TYPE_CHECKING

import pytest
from tests.support.cli import Cli

if TYPE_CHECKING:
    import subprocess

    from tests.support.node import NodeProcess


def events(stream: IO[str] | None, count: int) -> list[tuple[str, str]]:
    """Read that many changes; the test's own timeout bounds the wait."""
    assert stream is not None
    lines = [json.loads(stream.readline()) for _ in range(count)]
    return [(line["type"], line["pod"]["name"]) for line in lines]


@pytest.fixture
def cli(node: NodeProcess) -> Cli:
    node.ensure_started()
    return Cli({"DECUBE_ADDRESS": f"http://{node.rest_address}"})


def end(watch: subprocess.Popen[str]) -> tuple[int, str]:
    """Type Ctrl-C; return the exit code and what was told on stderr."""
    watch.send_signal(signal.SIGINT)
    _, told = watch.communicate(timeout=20)
    return watch.returncode, told


def test_a_watch_shows_what_is_there_and_then_what_changes(cli: Cli) -> None:
    cli("pods", "create", "before")
    with cli.start("pods", "watch", "-o", "json") as watch:
        assert events(watch.stdout, 1) == [("ADDED", "before")]
        cli("pods", "create", "after")
        cli("pods", "update", "after", "--status", "x")
        cli("pods", "delete", "after")
        seen = events(watch.stdout, 3)
        assert seen == [("ADDED", "after"), ("MODIFIED", "after"), ("DELETED", "after")]
        assert end(watch) == (130, "")


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_watch_goes_on_after_a_restart_without_repeating_anything(
    cli: Cli, node: NodeProcess, how: str
) -> None:
    cli("pods", "create", "kept")
    with cli.start("pods", "watch", "-o", "json") as watch:
        assert events(watch.stdout, 1) == [("ADDED", "kept")]
        cli("pods", "create", "first")
        assert events(watch.stdout, 1) == [("ADDED", "first")]
        getattr(node, how)()
        node.ensure_started()
        cli("pods", "create", "second")
        assert events(watch.stdout, 1) == [("ADDED", "second")]
        code, told = end(watch)
        assert code == 130
        assert "again" in told
        assert "Traceback" not in told


def test_a_watch_that_never_connected_says_so_and_ends(node: NodeProcess) -> None:
    done = Cli({"DECUBE_ADDRESS": f"http://{node.rest_address}"})("pods", "watch")
    assert done.returncode == 7
    assert "is the node up?" in done.stderr


def test_a_closed_pipe_ends_it_quietly(cli: Cli) -> None:
    with cli.start("pods", "watch", "-o", "name") as watch:
        cli("pods", "create", "a")
        assert watch.stdout is not None
        assert watch.stdout.readline() == "pod/a\n"
        watch.stdout.close()
        cli("pods", "create", "b")
        assert watch.wait(timeout=20) == 141
        assert watch.stderr is not None
        assert watch.stderr.read() == ""
