"""`decube leases` against a running node: what it does, prints, and ends with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.cli import Cli


def test_a_leases_life(cli: Cli) -> None:
    created = cli("leases", "create", "life", "--ttl", "5m", "-m", "purpose=test")
    assert created.returncode == 0, created.stderr
    printed, verb = created.stdout.split()
    assert verb == "created"
    lease = json.loads(cli("leases", "get", printed, "-o", "json").stdout)
    assert (lease["holder"], lease["ttl_seconds"]) == ("life", 300)
    assert lease["metadata"] == {"purpose": "test"}
    renewed = json.loads(cli("leases", "renew", lease["id"], "--ttl", "90", "-o", "json").stdout)
    assert (renewed["id"], renewed["ttl_seconds"]) == (lease["id"], 90)
    assert cli("leases", "renew", printed).stdout == f"{printed} renewed\n"
    assert cli("leases", "delete", printed).stdout == f"{printed} deleted\n"
    assert cli("leases", "get", printed).returncode == 3
    assert cli("leases", "delete", printed).returncode == 3
    assert cli("leases", "delete", printed, "--ignore-not-found").returncode == 0


def test_lists_are_tables_for_people_and_ids_for_scripts(cli: Cli) -> None:
    for name in ("table-a", "table-b"):
        cli("leases", "create", "lister", "--name", name, "--ttl", "1h")
    table = cli("leases", "list", "--holder", "lister").stdout.splitlines()
    assert table[0].split() == ["ID", "NAME", "HOLDER", "TTL", "EXPIRES", "TOKEN", "METADATA"]
    assert {tuple(line.split()[1:4]) for line in table[1:]} == {
        ("table-a", "lister", "1h"),
        ("table-b", "lister", "1h"),
    }
    (name,) = cli("leases", "list", "--name", "table-a", "-o", "name").stdout.split()
    told = json.loads(cli("leases", "list", "--name", "table-a", "-o", "json").stdout)
    assert (told["count"], f"lease/{told['leases'][0]['id']}") == (1, name)


def test_a_name_has_one_holder(cli: Cli) -> None:
    first = cli("leases", "create", "one", "--name", "only", "-o", "name").stdout
    refused = cli("leases", "create", "two", "--name", "only")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert refused.stderr.startswith("decube: lease name only is held by one until 2")
    assert cli("leases", "create", "one", "--name", "only", "-o", "name").stdout == first


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        (["leases", "get", "lease-0000000000000043"], 3, "has ended, or there never was one"),
        (["leases", "get", "a/b"], 2, "is not the id of a lease"),
        (["leases", "renew", "leader"], 3, "ids are lease- and 16 hexadecimal digits"),
        (["leases", "create", "a", "--ttl", "1s"], 2, "--ttl 1s is out of bounds: 2 to"),
        (["leases", "create", "a", "--ttl", "0"], 2, "--ttl 0 is out of bounds: 2 to"),
        (["leases", "create", "a", "--ttl", "-5"], 2, '"-5" is negative'),
        (["leases", "renew", "lease-0000000000000043", "--ttl", "0"], 2, "--ttl 0 is out of"),
        (["leases", "run", "--name", "x", "--ttl", "0", "--", "true"], 2, "--ttl 0 is out of"),
        (["leases", "run", "--name", "x", "--ttl", "400ms", "--", "true"], 2, "--ttl 400ms is out"),
        (["leases", "run", "--name", "x", "--ttl", "-5", "--", "true"], 2, '"-5" is negative'),
        (["leases", "create", "a", "--ttl", "soon"], 2, "is not a duration"),
        (["leases", "create", "a", "-m", "x"], 2, "is not KEY=VALUE"),
        (["leases", "create"], 2, "HOLDER is required"),
        (["leases", "run", "--", "true"], 2, "--name is required"),
        (["leases", "run", "--name"], 2, "--name requires an argument"),
        (["leases", "delete"], 2, "name at least one lease"),
        (["leases", "run", "--name", "x"], 2, "after --"),
        (["leases", "run", "--name", "Not one", "--", "true"], 2, "DNS-1123"),
        (["leases", "run", "--name", "x", "--", "no-such-command"], 127, "no such command"),
        (["leases", "run", "--name", "x", "--", "/etc/passwd"], 126, "permission denied"),
        (["leases", "run", "--name", "x", "--address", "127.0.0.1:1", "--", "true"], 7, "refused"),
        (
            ["leases", "run", "--name", "x", "--no-wait", "--wait-timeout", "1s", "--", "true"],
            2,
            "exclude each other",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_failures_are_told_on_stderr_with_an_exit_code(
    cli: Cli, typed: list[str], code: int, told: str
) -> None:
    done = cli(*typed)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("decube: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(cli("leases", "list", "--name", "x", "-o", "json").stdout)["count"] == 0
