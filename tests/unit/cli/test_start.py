"""The short way of reading `decube up` says what the parser says, or leaves it to the parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from decube.cli.start import OPTION_KEYS, Given, read_plainly
from decube.cli.up import up
from decube.config.keys import keys
from decube.kit.errors import Invalid


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DECUBE_CONFIG", raising=False)


def test_options_with_a_value_are_read() -> None:
    typed = ["--data-dir", "d", "--rest-address=a:1", "--set", "node.id=x=y", "--set=etcd.name=n"]
    assert read_plainly(typed) == Given(
        None, (("--data-dir", "d"), ("--rest-address", "a:1")), ("node.id=x=y", "etcd.name=n")
    )
    assert read_plainly([]) == Given()
    assert read_plainly(["--config", "f.yaml"]) == Given(Path("f.yaml"))


def test_the_file_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECUBE_CONFIG", "e.yaml")
    assert read_plainly([]) == Given(Path("e.yaml"))
    assert read_plainly(["--config=f.yaml"]) == Given(Path("f.yaml"))


@pytest.mark.parametrize(
    "typed",
    [["--help"], ["--data-dir"], ["--data-dir", "--help"], ["--unknown", "x"], ["word"], ["-h"]],
)
def test_all_else_is_left_to_the_parser(typed: list[str]) -> None:
    assert read_plainly(typed) is None


def test_both_ways_know_the_same_options() -> None:
    typed = {f"--{name.replace('_', '-')}" for name in up.__annotations__ if name != "return"}
    assert typed == {*OPTION_KEYS, "--config", "--assignments"}
    assert {key for paths in OPTION_KEYS.values() for key in paths} <= set(keys())


def test_a_data_directory_holds_all_that_is_durable(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("etcd: {data_dir: /elsewhere, wal_dir: /elsewhere/wal}\n")
    settings = Given(file, (("--data-dir", "/d"),)).loaded().settings
    assert settings.node.data_dir == "/d"
    assert (settings.etcd.data_dir, settings.etcd.wal_dir) == ("", "")


def test_endpoints_choose_the_backend() -> None:
    settings = Given(options=(("--endpoints", "a:1,b:2"),)).loaded().settings
    assert (settings.store.backend, settings.store.endpoints) == ("etcd", ("a:1", "b:2"))


def test_an_assignment_without_a_value_is_refused() -> None:
    with pytest.raises(Invalid, match=r'"node.id" is not KEY=VALUE'):
        Given(assignments=("node.id",)).loaded()
