"""`decube kv` against a running node, found by its REST address alone."""

from __future__ import annotations

import json
import signal
from select import select
from typing import TYPE_CHECKING

import pytest
from tests.support.cli import Cli
from tests.support.replicas import Replica
from tools.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import NodeProcess


def test_a_keys_life(cli: Cli) -> None:
    assert cli("kv", "put", "life", "one").stdout == "OK\n"
    assert cli("kv", "put", "life", "--", "-2", "--prev-kv").returncode == 2
    assert cli("kv", "put", "life", "two", "--prev-kv").stdout == "OK\nlife\none\n"
    assert cli("kv", "get", "life").stdout == "life\ntwo\n"
    (kv,) = json.loads(cli("kv", "get", "life", "-o", "json").stdout)["kvs"]
    assert (kv["key"], kv["value"], kv["version"]) == ("life", "two", 2)
    old = cli("kv", "get", "life", "--rev", str(kv["create_revision"]))
    assert old.stdout == "life\none\n"
    assert cli("kv", "del", "life").stdout == "1\n"
    assert cli("kv", "get", "life").returncode == 3
    assert cli("kv", "del", "life").stdout == "0\n"


def test_an_endpoint_that_refuses_is_told_long_before_the_time_is_up(cli: Cli) -> None:
    # With all that time used, the command line would be killed, and the test fail.
    done = cli("kv", "get", "a", "--endpoints", "127.0.0.1:1,127.0.0.1:1", "--timeout", "10m")
    assert done.returncode == 7
    assert "connection refused" in done.stderr


def test_an_endpoint_that_refuses_is_passed_over(cli: Cli, running: NodeProcess) -> None:
    endpoints = f"127.0.0.1:1,{running.etcd_address}"
    assert cli("kv", "put", "passed", "1", "--endpoints", endpoints).returncode == 0
    assert cli("kv", "get", "passed", "--endpoints", endpoints).stdout == "passed\n1\n"


def test_a_standby_without_a_primary_says_so(tmp_path: Path) -> None:
    with Replica(tmp_path, "alone", "standby", free_port()) as standby:
        standby.knows("127.0.0.1:1")
        standby.ensure_started()
        cli = Cli({"DECUBE_ADDRESS": f"http://{standby.rest_address}"})
        for command in (("get", "a"), ("put", "a", "b")):
            done = cli("kv", *command, "--timeout", "10m")
            assert (done.returncode, done.stdout) == (7, "")
            assert done.stderr == (
                f"decube: no primary is reachable from {standby.etcd_address}: "
                "the store has no leader\n  `decube replication status` tells who is what; "
                "--endpoints or DECUBE_ENDPOINTS chooses another node\n"
            )


def test_a_value_comes_from_standard_input(cli: Cli) -> None:
    cli("kv", "put", "typed", typed="three\nlines\n")
    assert cli("kv", "get", "typed").stdout == "typed\nthree\nlines\n\n"


def test_ranges_are_read_by_prefix_end_and_limit(cli: Cli) -> None:
    for name in ("r/a", "r/b", "r/c"):
        cli("kv", "put", name, "x")
    assert cli("kv", "get", "--prefix", "r/", "--keys-only").stdout == "r/a\nr/b\nr/c\n"
    assert cli("kv", "get", "r/a", "r/c", "-o", "name").stdout == "r/a\nr/b\n"
    assert cli("kv", "get", "--prefix", "r/", "--limit", "2", "-o", "name").stdout == "r/a\nr/b\n"
    assert cli("kv", "get", "--prefix", "r/", "--count-only").stdout == "3\n"
    assert cli("kv", "get", "--prefix", "none/").returncode == 0
    assert cli("kv", "del", "--prefix", "r/").stdout == "3\n"


def test_a_key_goes_with_its_lease(cli: Cli) -> None:
    lease = json.loads(cli("kv", "lease", "grant", "10m", "-o", "json").stdout)
    assert lease["ttl_s"] == 600
    cli("kv", "put", "leased", "x", "--lease", lease["lease"])
    told = json.loads(cli("kv", "lease", "ttl", lease["lease"], "--keys", "-o", "json").stdout)
    assert told["keys"] == ["leased"]
    assert 0 < told["remaining_ttl_s"] <= told["granted_ttl_s"] == 600
    assert lease["lease"] in cli("kv", "lease", "list").stdout
    assert cli("kv", "lease", "keep-alive", lease["lease"], "--once").returncode == 0
    assert cli("kv", "lease", "revoke", lease["lease"]).returncode == 0
    assert cli("kv", "get", "leased").returncode == 3
    assert cli("kv", "lease", "ttl", lease["lease"]).returncode == 3


def test_a_watch_prints_changes_until_ctrl_c(cli: Cli) -> None:
    put = json.loads(cli("kv", "put", "watched", "1", "-o", "json").stdout)
    with cli.start("kv", "watch", "watched", "--rev", str(put["revision"])) as watch:
        cli("kv", "del", "watched")
        assert watch.stdout is not None
        assert [watch.stdout.readline() for _ in range(5)] == [
            "PUT\n",
            "watched\n",
            "1\n",
            "DELETE\n",
            "watched\n",
        ]
        watch.send_signal(signal.SIGINT)
        _, told = watch.communicate(timeout=20)
        assert (watch.returncode, told) == (130, "")


def test_a_key_alone_is_one_line_whatever_its_bytes(cli: Cli) -> None:
    for key in ("lines/a\nb", "lines/c"):
        cli("kv", "put", key, "x")
    for form in ("--keys-only", "-oname"):
        shown = cli("kv", "get", "--prefix", "lines/", form).stdout
        assert shown.splitlines() == [r"lines/a\nb", "lines/c"]
    told = json.loads(cli("kv", "get", "--prefix", "lines/", "-o", "json").stdout)
    assert [kv["key"] for kv in told["kvs"]] == ["lines/a\nb", "lines/c"]


def test_a_watch_that_ends_with_its_history_says_how_to_watch_on(cli: Cli) -> None:
    cli("kv", "put", "watched-on", "1")
    snapshot = cli("snapshots", "create", "-o", "name").stdout.strip()
    with cli.start("kv", "watch", "watched-on", "-o", "json") as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        while not select([watch.stdout], [], [], 0.2)[0]:  # it may not watch yet
            assert cli("kv", "put", "watched-on", "2").returncode == 0
        assert cli("snapshots", "restore", snapshot, "--yes").returncode == 0
        _, told = watch.communicate(timeout=20)
    assert (watch.returncode, "decube kv get -o json" in told) == (6, True), told
    found = json.loads(cli("kv", "get", "watched-on", "-o", "json").stdout)
    behind = str(found["revision"] + 1)
    with cli.start("kv", "watch", "watched-on", "--rev", behind, "-o", "name") as watch:
        cli("kv", "put", "watched-on", "3")
        assert watch.stdout is not None
        assert watch.stdout.readline() == "watched-on\n"


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        (["kv", "get", "a", "b", "--prefix"], 2, "exclude each other"),
        (["kv", "get", ""], 2, "the key is empty"),
        (["kv", "put", "a", "x", "--lease", "zz"], 2, "is not a lease"),
        (["kv", "put", "a", "x", "--lease", "7"], 3, "lease"),
        (["kv", "lease", "ttl", "f" * 17], 2, "is not a lease"),
        (["kv", "lease", "ttl", "--", "-5"], 2, "is not a lease"),
        (["kv", "lease", "grant", "9" * 19], 2, "is longer than any time to live"),
        (["kv", "get", "a", "--rev", "99999999"], 2, "future revision"),
        (["kv", "get", "a", "--rev", "-5"], 2, "for --rev. it must not be negative"),
        (["kv", "get", "a", "--rev", f"{1 << 63}"], 2, "for --rev. no store counts to that"),
        (["kv", "get", "a", "--limit", "-1"], 2, "for --limit. it must not be negative"),
        (["kv", "watch", "a", "--rev", "-5"], 2, "for --rev. it must not be negative"),
        (["kv", "get", "a", "--endpoints", "127.0.0.1:1", "--timeout", "300ms"], 7, "127.0.0.1:1"),
        (["kv", "get", "a", "--endpoints", "127.0.0.1:1"], 7, "127.0.0.1:1: connection refused"),
        (["kv", "put", "a", "b", "--endpoints", "127.0.0.1:1"], 7, "connection refused"),
        (["kv", "get", "a", "--address", "127.0.0.1:1"], 7, "--endpoints"),
        (["kv", "lease", "grant", "soon"], 2, "is not a duration"),
        (["kv", "lease", "grant", "-5"], 2, '"-5" is negative'),
        (["kv", "lease", "grant", "--", "-5s"], 2, '"-5s" is negative'),
        (["kv", "lease", "ttl", "43"], 3, "lease 0000000000000043 is not there"),
        (["kv", "lease", "revoke", "43"], 3, "lease 0000000000000043 is not there"),
        (["kv", "get", "a", "--endpoints", "127.0.0.1:1", "--timeout", "300ms"], 7, "an etcd API"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_failures_are_told_on_stderr_with_an_exit_code(
    cli: Cli, typed: list[str], code: int, told: str
) -> None:
    done = cli(*typed)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
