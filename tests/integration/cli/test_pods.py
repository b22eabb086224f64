"""`decube pods` against a running node: what it does, prints, and ends with."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.support.stores import remote

from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from tests.support.cli import Cli
    from tests.support.node import NodeProcess


def test_a_pods_life(cli: Cli) -> None:
    created = cli("pods", "create", "web", "--label", "app=nginx", "--status", "pending")
    assert (created.returncode, created.stdout) == (0, "pod/web created\n")
    updated = cli("pods", "update", "web", "--status", "running", "-L", "tier=front", "-L", "app-")
    assert updated.stdout == "pod/web updated\n"
    pod = json.loads(cli("pods", "get", "web", "-o", "json").stdout)
    assert (pod["status"], pod["labels"]) == ("running", {"tier": "front"})
    assert cli("pods", "delete", "web").stdout == "pod/web deleted\n"
    assert cli("pods", "get", "web").returncode == 3


def test_lists_are_tables_for_people_and_names_for_scripts(cli: Cli) -> None:
    for name, app in (("list-a", "x"), ("list-b", "y")):
        cli("pods", "create", name, "-n", "lists", "--label", f"app={app}")
    table = cli("pods", "list", "-n", "lists").stdout.splitlines()
    assert table[0].split()[:3] == ["NAMESPACE", "NAME", "STATUS"]
    assert [line.split()[:2] for line in table[1:]] == [["lists", "list-a"], ["lists", "list-b"]]
    assert cli("pods", "list", "-n", "lists", "-l", "app=y", "-o", "name").stdout == "pod/list-b\n"
    told = json.loads(cli("pods", "list", "-A", "--limit", "1", "-o", "json").stdout)
    assert told["count"] == len(told["pods"]) == 1
    told = yaml.safe_load(cli("pods", "list", "-n", "nowhere", "-o", "yaml").stdout)
    assert told == {"pods": [], "count": 0, "unreadable": 0}


TOLD = re.compile(
    r"decube: \d+ (?:pod|lease)s? could not be read, and not listed: the node's log tells which "
    r"and why; `decube (kv del.*) KEY` removes what is of no use, KEY being (.*?)"
    r"(?: or \d+ more)?\n"
)


@pytest.mark.parametrize("noun", ["pod", "lease"])
def test_a_row_that_cannot_be_read_is_told_beside_the_list(
    cli: Cli, running: NodeProcess, noun: str
) -> None:
    asyncio.run(put(running, f"/decube/{noun}s/default/garbled".encode()))
    for output in ("table", "name", "json", "yaml"):
        done = cli(f"{noun}s", "list", "-o", output)
        assert done.returncode == 0
        assert done.stderr == (
            f"decube: 1 {noun} could not be read, and not listed: the node's log tells which and "
            "why; `decube kv del KEY` removes what is of no use, KEY being "
            f"/decube/{noun}s/default/garbled\n"
        )
    assert yaml.safe_load(done.stdout)["unreadable"] == 1
    assert cli(f"{noun}s", "delete", "garbled").returncode == 0
    assert cli(f"{noun}s", "list").stderr == ""


@pytest.mark.parametrize("noun", ["pod", "lease"])
def test_what_is_told_of_rows_that_cannot_be_read_removes_all_of_them(
    cli: Cli, running: NodeProcess, noun: str
) -> None:
    keys = [
        b"default/UPPER",
        b"default/a b",
        b"default/it's",
        b"default/a/b",
        b"default//",
        b"default/\xff",
        b"default/back\\slash",
        b"default/\xe2\x80\xa8",
        b"default/lives\0not",
    ]
    if noun == "pod":  # leases are of one namespace
        keys += [b"", b"no-name", b"no-name/", b"Odd/x", b"\xff/x"]
    asyncio.run(put(running, *(f"/decube/{noun}s/".encode() + key for key in keys)))
    cli("pods", "create", "lives")
    listing = (f"{noun}s", "list", *(["-A"] if noun == "pod" else []))
    left = len(keys)
    while told := cli(*listing).stderr:
        found = TOLD.fullmatch(told)
        assert found is not None, told
        for key in shlex.split(found[2]):
            done = cli(*found[1].split(), key.removesuffix(","))
            assert done.stdout == "1\n", (key, done.stderr)
            left -= 1
    assert left == 0
    assert cli("pods", "get", "lives").returncode == 0


def test_the_first_rows_that_cannot_be_read_are_named(cli: Cli, running: NodeProcess) -> None:
    names = (b"A", b"B\xff", b"C", b"D", b"E")
    asyncio.run(put(running, *(b"/decube/pods/many/" + name for name in names)))
    told = cli("pods", "list", "-n", "many").stderr
    assert told.startswith("decube: 5 pods could not be read, and not listed: ")
    assert told.endswith(
        "; `decube kv del --escaped KEY` removes what is of no use, KEY being "
        "/decube/pods/many/A, '/decube/pods/many/B\\xff', /decube/pods/many/C or 2 more\n"
    )


async def put(node: NodeProcess, *keys: bytes) -> None:
    """Write to the store what no shell could."""
    async with remote(node.etcd_address) as store:
        await store.txn(Txn(success=tuple(Put(key, b"garbage") for key in keys)))


def test_pods_are_created_from_a_file_or_standard_input(cli: Cli) -> None:
    text = "name: in-a\nlabels: {x: y}\n---\n{name: in-b, namespace: other}\n"
    created = cli("pods", "create", "-f", "-", typed=text)
    assert created.stdout == "pod/in-a created\npod/in-b created\n", created.stderr
    assert cli("pods", "get", "in-b", "-n", "other", "-o", "name").stdout == "pod/in-b\n"


def test_what_was_listed_can_be_created_again_in_another_namespace(cli: Cli) -> None:
    for name in ("copy-a", "copy-b"):
        cli("pods", "create", name, "-n", "from", "--label", f"of={name}", "--status", "running")
    listed = cli("pods", "list", "-n", "from", "-o", "yaml").stdout
    copied = cli("pods", "create", "-n", "to", "-f", "-", typed=listed)
    assert copied.stdout == "pod/copy-a created\npod/copy-b created\n", copied.stderr
    pod = json.loads(cli("pods", "get", "copy-b", "-n", "to", "-o", "json").stdout)
    assert (pod["labels"], pod["status"]) == ({"of": "copy-b"}, "running")


def test_a_refused_pod_of_a_file_is_named(cli: Cli) -> None:
    done = cli("pods", "create", "-f", "-", typed="[{name: good}, {name: bad, labels: {v: 1}}]")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("decube: standard input, pod 2 (bad): labels.v: ")
    done = cli("pods", "create", "-f", "-", typed="name: a\n  b: c\n")
    assert "standard input is neither YAML nor JSON: mapping values" in done.stderr
    assert "(line 2, column 4)" in done.stderr


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{name: Bad_Name}", "name 'Bad_Name' is not a DNS-1123"),
        ("{name: [x]}", "name: "),
        ("{name: bad, label: {}}", 'unknown field "label"'),
        ("{name: bad, labels: [x]}", "labels: write KEY: VALUE"),
        ("{name: bad, labels: {a: 2026-01-31}}", 'labels.a: "2026-01-31" is no text'),
        ("{name: bad, node_name: A B}", "node_name 'A B' is not"),
        ("{labels: {}}", "name is empty"),
    ],
)
def test_nothing_is_created_from_a_file_with_one_pod_that_is_wrong(
    cli: Cli, bad: str, told: str
) -> None:
    typed = f"name: before-bad\n---\n{bad}\n"
    done = cli("pods", "create", "-f", "-", "--label", "x=y", typed=typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("decube: standard input, pod 2")
    assert told in done.stderr
    assert cli("pods", "get", "before-bad").returncode == 3


def test_what_exists_of_a_file_is_told_and_the_rest_created(cli: Cli) -> None:
    cli("pods", "create", "some-a", "-n", "some")
    typed = "[{name: some-a}, {name: some-b}, {name: some-c}]"
    done = cli("pods", "create", "-n", "some", "-f", "-", typed=typed)
    assert (done.returncode, done.stdout) == (4, "pod/some-b created\npod/some-c created\n")
    assert done.stderr.startswith("decube: standard input, pod 1 (some-a): ")
    assert "exists" in done.stderr


def test_the_names_that_are_printed_are_names_to_type(cli: Cli) -> None:
    cli("pods", "create", "piped", "-n", "names")
    (name,) = cli("pods", "list", "-n", "names", "-o", "name").stdout.split()
    assert cli("pods", "update", name, "-n", "names", "--status", "x").returncode == 0
    assert cli("pods", "get", name, "-n", "names", "-o", "name").stdout == f"{name}\n"
    assert cli("pods", "delete", name, "-n", "names").stdout == f"{name} deleted\n"


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        (["pods", "get", "absent"], 3, "not found"),
        (["pods", "get", "a/b"], 2, "write NAME or pod/NAME"),
        (["pods", "list", "more"], 2, 'unexpected argument "more"'),
        (["pods", "list", "--timeout", "0s"], 2, "more than 0"),
        (["pods", "delete", "absent"], 3, "no such pod in namespace default: absent"),
        (["pods", "update", "absent", "--status", "x"], 3, "not found"),
        (["pods", "update", "absent"], 2, "nothing to change"),
        (["pods", "create", "Bad_Name"], 2, "DNS-1123"),
        (["pods", "create"], 2, "either a name or --file"),
        (["pods", "create", "a", "--label", "x"], 2, "neither KEY=VALUE nor KEY-"),
        (["pods", "create", "-f", "/absent.yaml"], 2, "cannot read /absent.yaml"),
        (["pods", "list", "-l", "a in b"], 2, "selector"),
        (["pods", "get"], 2, "NAME is required"),
        (["pods", "fetch"], 2, 'unknown command "fetch"'),
        (["pods", "list", "-o", "xml"], 2, "Choose from"),
        (["pods", "list", "--timeout", "5"], 2, "lacks a unit: write 5s"),
        (["pods", "list", "--address", "nonsense://x"], 2, "is not an address"),
        (["pods", "list", "--address", "http://127.0.0.1:1"], 7, "connection refused"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_failures_are_told_on_stderr_with_an_exit_code(
    cli: Cli, typed: list[str], code: int, told: str
) -> None:
    done = cli(*typed)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("decube: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_what_exists_is_not_created_again(cli: Cli) -> None:
    cli("pods", "create", "twice")
    again = cli("pods", "create", "twice")
    assert again.returncode == 4
    assert "exists" in again.stderr


def test_an_update_of_an_old_version_is_refused(cli: Cli) -> None:
    cli("pods", "create", "versioned")
    pod = json.loads(cli("pods", "get", "versioned", "-o", "json").stdout)
    version = pod["resource_version"]
    first = cli("pods", "update", "versioned", "--status", "a", "--resource-version", version)
    assert first.returncode == 0
    second = cli("pods", "update", "versioned", "--status", "b", "--resource-version", version)
    assert second.returncode == 5
    assert "read it again" in second.stderr


def test_an_absent_pod_may_be_ignored(cli: Cli) -> None:
    assert cli("pods", "delete", "absent", "--ignore-not-found").returncode == 0


def test_a_server_that_is_no_node_is_told(cli: Cli, running: NodeProcess) -> None:
    for other, told in (
        (running.etcd_address, "the server answered 404 Not Found\n"),
        (running.grpc_address, "the server answered with something that is not HTTP\n"),
    ):
        done = cli("status", "--address", other)
        assert (done.returncode, done.stdout) == (7, "")
        assert done.stderr.startswith(f"decube: {told}  is that the REST address")


def test_status_tells_the_node(cli: Cli) -> None:
    told = json.loads(cli("status", "-o", "json").stdout)
    assert told["node_id"] == "node-1"
    assert told["health"]["status"] == "healthy"
    assert cli("status").stdout.splitlines()[0].split() == ["WHAT", "VALUE"]
