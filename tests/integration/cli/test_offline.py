"""Commands that need no node: version, configuration, completion, help."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.support.cli import Cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cli() -> Cli:
    return Cli()


def test_version_is_one_line_or_json(cli: Cli) -> None:
    (line,) = cli("version").stdout.splitlines()
    assert line.split()[0] == "decube"
    assert json.loads(cli("version", "-o", "json").stdout) == {"version": line.split()[1]}


def test_habits_of_other_commands_are_understood(cli: Cli) -> None:
    assert cli("--version").stdout == cli("version").stdout
    assert cli("help").stdout == cli("--help").stdout
    assert cli("help", "kv", "get").stdout == cli("kv", "get", "--help").stdout


def test_output_that_cannot_be_written_is_told(cli: Cli) -> None:
    for command in ("version", "config default", "config show", "config schema"):
        done = subprocess.run(
            ["bash", "-c", f"{cli.program()} {command} > /dev/full"],
            capture_output=True,
            text=True,
            check=False,
        )
        told = "decube: cannot write the output: no space left on device\n"
        assert (done.returncode, done.stderr) == (9, told)


def test_config_show_tells_each_value_and_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("node:\n  id: from-file\napi:\n  grpc:\n    address: 127.0.0.1:9090\n")
    cli = Cli({"DECUBE_CONFIG": str(file), "DECUBE_ETCD_NAME": "from-env"})
    shown = cli("config", "show", "--set", "api.rest.address=127.0.0.1:7", "--changed").stdout
    rows = [line.split() for line in shown.splitlines()[1:]]
    assert rows == [
        ["node.id", '"from-file"', f"{file}:2"],
        ["etcd.name", '"from-env"', "DECUBE_ETCD_NAME"],
        ["api.rest.address", '"127.0.0.1:7"', "--set"],
    ]
    told = yaml.safe_load(cli("config", "show", "--changed", "-o", "yaml").stdout)
    assert told == {"node": {"id": "from-file"}, "etcd": {"name": "from-env"}}
    told = yaml.safe_load(cli("config", "show", "-o", "yaml").stdout)
    assert told["node"]["id"] == "from-file"
    assert told["api"]["grpc"]["address"] == "127.0.0.1:9090"


def test_a_narrow_terminal_folds_only_the_longest_column(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / ("long" * 20) / "config.yaml"
    file.parent.mkdir()
    file.write_text("node:\n  advertise_host: host.of.this.node\n")
    ours, theirs = os.openpty()
    subprocess.run(
        [cli.program(), "config", "show", "--changed", "--config", file],
        env={**os.environ, "COLUMNS": "60", "TERM": "xterm"},
        stdout=theirs,
        check=True,
    )
    os.close(theirs)
    _head, *lines = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    assert max(map(len, lines)) <= 60
    assert lines[0].split()[:2] == ["node.advertise_host", '"host.of.this.node"']
    assert "".join(line.split()[-1] for line in lines) == f"{file}:2"


def test_what_config_default_prints_is_accepted(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(cli("config", "default").stdout)
    assert cli("config", "check", "--config", str(file)).returncode == 0
    schema = json.loads(cli("config", "schema").stdout)
    assert schema["title"] == "DeCube configuration"
    assert schema["description"].startswith("The configuration file of decube up.")


def test_config_check_tells_what_is_wrong_by_file_and_line(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("node:\n  ide: x\napi:\n  rest: {enabled: maybe}\n")
    done = cli("config", "check", "--config", str(file))
    assert done.returncode == 2
    assert f"node.ide: no such setting ({file}:2); did you mean node.id?" in done.stderr
    assert f"api.rest.enabled: expected bool, got str ({file}:4)" in done.stderr
    done = cli("config", "check", "--set", "node.id")
    assert (done.returncode, "KEY=VALUE" in done.stderr) == (2, True)


def test_the_completion_script_completes_in_a_shell(cli: Cli) -> None:
    script = cli("completion", "print", "bash").stdout
    typed = (
        "COMP_WORDS=(decube po); COMP_CWORD=1; COMP_LINE='decube po'; COMP_POINT=9\n"
        "$(complete -p decube | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{typed}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["pods"], done.stderr


def test_an_empty_variable_is_none() -> None:
    help_text = Cli()("kv", "get", "--help").stdout + Cli()("config", "show", "--help").stdout
    variables = set(re.findall(r"DECUBE_[A-Z_]+", help_text)) - {"DECUBE_NODE_ID"}  # an example
    assert {"DECUBE_CACERT", "DECUBE_ENDPOINTS", "DECUBE_CONFIG"} < variables
    empty = Cli(dict.fromkeys(variables, ""))
    for command in (
        ("status", "--address", "127.0.0.1:1"),
        ("kv", "get", "a", "--endpoints", "127.0.0.1:1"),
        ("kv", "get", "a", "--address", "127.0.0.1:1"),
    ):
        done = empty(*command)
        assert done.returncode == 7
        assert "127.0.0.1:1: connection refused" in done.stderr
    assert empty("config", "check").returncode == 0


def test_help_shows_no_default_where_there_is_none(cli: Cli) -> None:
    shown = cli("pods", "create", "--help").stdout
    assert "[default: 10s]" in shown
    for nothing in ("()", '""', "None"):
        assert f"[default: {nothing}]" not in shown


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "status",
        "pods create",
        "pods watch",
        "kv get",
        "kv lease grant",
        "config show",
        "completion install",
        "version",
    ],
)
def test_every_help_has_an_example(cli: Cli, command: str) -> None:
    told = cli(*command.split(), "--help").stdout
    assert "For example:" in told
    assert f"decube {command}" in told


def test_a_location_that_cannot_be_reached_is_not_taken_for_a_node(tmp_path: Path) -> None:
    cli = Cli(
        {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
    )
    into = str(tmp_path / "new")
    for _ in range(4):  # a process that ends beside threads of the client aborts now and then
        done = cli("snapshots", "restore", "--from", "s3://bucket/prod", "--data-dir", into)
        assert done.returncode == 7, done.stderr
        assert done.stderr.startswith("decube: cannot list s3://bucket/prod"), done.stderr
        assert "is the node up?" not in done.stderr
