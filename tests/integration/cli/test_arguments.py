"""What is typed need not be UTF-8: keys and values are bytes, and the rest is told."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

NOT_UTF8 = os.fsdecode(b"bad\xff")


def test_keys_and_values_are_the_bytes_that_were_typed(cli: Cli) -> None:
    key, value, end = (os.fsdecode(typed) for typed in (b"\xff\xfe", b"v\xfe", b"\xff\xff"))
    assert cli("kv", "put", key, value).stdout == "OK\n"
    for typed in ([key], [key, end], ["--prefix", os.fsdecode(b"\xff")]):
        (kv,) = json.loads(cli("kv", "get", *typed, "-o", "json").stdout)["kvs"]
        assert (b64decode(kv["key_base64"]), b64decode(kv["value_base64"])) == (
            b"\xff\xfe",
            b"v\xfe",
        )
    assert cli("kv", "del", key).stdout == "1\n"
    absent = cli("kv", "get", key)
    assert (absent.returncode, absent.stderr.splitlines()[0]) == (
        3,
        r"decube: there is no key \xff\xfe",
    )


def test_a_command_under_a_lease_gets_the_bytes_that_were_typed(cli: Cli) -> None:
    script = 'printf "%s" "$0" | od -An -tx1'
    done = cli("leases", "run", "--name", "bytes", "--", "sh", "-c", script, NOT_UTF8)
    assert (done.returncode, done.stdout.split()) == (0, ["62", "61", "64", "ff"]), done.stderr


def test_a_path_is_the_bytes_that_were_typed(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / NOT_UTF8
    file.write_text("name: of-bytes\n")
    assert cli("pods", "create", "-f", str(file)).returncode == 0
    snapshot = cli("snapshots", "create", "-o", "name").stdout.strip()
    archive = tmp_path / f"archive-{NOT_UTF8}"
    done = subprocess.run(
        [cli.program(), "snapshots", "download", snapshot, archive],
        # As Python has it in most locales, but not in the one of many containers.
        env={**os.environ, **cli.environment, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == os.fsencode(f"{snapshot} downloaded to {archive}\n")


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (["pods", "get", NOT_UTF8], "NAME"),
        (["pods", "create", NOT_UTF8], "NAME"),
        (["pods", "create", "a", "--label", f"a={NOT_UTF8}"], "--label"),
        (["pods", "delete", "a", NOT_UTF8], "NAMES"),
        (["leases", "create", NOT_UTF8], "HOLDER"),
        (["leases", "run", "--name", NOT_UTF8, "--", "true"], "--name"),
        (["snapshots", "get", NOT_UTF8], "SNAPSHOT"),
        (["snapshots", "create", NOT_UTF8], "NAME"),
        (["snapshots", "create", "-m", f"a={NOT_UTF8}"], "-m"),
        (["kv", "lease", "revoke", NOT_UTF8], "LEASE"),
        (["kv", "get", "a", "--endpoints", NOT_UTF8], "--endpoints"),
        (["status", "--address", NOT_UTF8], "--address"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_text_that_is_no_utf8_is_refused_by_the_name_of_its_argument(
    cli: Cli, typed: list[str], named: str
) -> None:
    done = cli(*typed)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "is not UTF-8" in done.stderr
    assert f" {named}" in done.stderr
    assert "Traceback" not in done.stderr
