"""`decube certs`: what it makes is accepted by others, and what it tells is so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.support.cli import Cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    """Make a CA in a directory."""
    directory = tmp_path / "certs"
    done = Cli()("certs", "init", "--dir", str(directory))
    assert done.returncode == 0, done.stderr
    return directory


def issue(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return Cli()("certs", "issue", "--dir", str(directory), *arguments)


def verified_for(directory: Path, name: str, purpose: str, *options: str) -> bool:
    """Have openssl verify a certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, *options]
    files = ["-CAfile", directory / "ca.pem", directory / f"{name}.pem"]
    return subprocess.run([*command, *files], check=False, capture_output=True).returncode == 0


def test_a_server_certificate_is_for_its_hosts_and_for_servers(certs: Path) -> None:
    assert (
        issue(certs, "--name", "node-1", "--host", "a.test,10.0.0.1", "--host", "::1").stderr == ""
    )
    for hit in (("-verify_hostname", "a.test"), ("-verify_ip", "10.0.0.1"), ("-verify_ip", "::1")):
        assert verified_for(certs, "node-1", "sslserver", *hit)
    assert not verified_for(certs, "node-1", "sslserver", "-verify_hostname", "b.test")
    assert not verified_for(certs, "node-1", "sslclient")


def test_a_client_certificate_is_for_clients_and_one_may_be_for_both(certs: Path) -> None:
    issue(certs, "--name", "alice", "--client")
    issue(certs, "--name", "peer", "--client", "--host", "peer.test")
    usable = {
        (name, purpose): verified_for(certs, name, purpose)
        for name in ("alice", "peer")
        for purpose in ("sslserver", "sslclient")
    }
    assert [who for who, good in usable.items() if not good] == [("alice", "sslserver")]


def test_keys_are_for_their_owner_and_nothing_is_replaced_unasked(certs: Path) -> None:
    assert issue(certs, "--name", "a", "--client").returncode == 0
    before = {path: path.read_bytes() for path in certs.iterdir()}
    assert {path.name: path.stat().st_mode & 0o777 for path in before} == {
        "ca.pem": 0o644,
        "ca.key": 0o600,
        "a.pem": 0o644,
        "a.key": 0o600,
    }
    for again in (
        issue(certs, "--name", "a", "--client"),
        Cli()("certs", "init", "--dir", str(certs)),
    ):
        assert again.returncode == 4
        assert "exists already" in again.stderr
        assert "--force" in again.stderr
    assert {path: path.read_bytes() for path in certs.iterdir()} == before
    assert issue(certs, "--name", "a", "--client", "--force").returncode == 0
    assert (certs / "a.pem").read_bytes() != before[certs / "a.pem"]
    assert (certs / "a.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--name", "x"], "--host for a server, --client"),
        (["--name", "../x", "--client"], '"../x" cannot name files'),
        (["--name", "ca", "--client"], '"ca" is the CA itself'),
        (["--name", "x", "--host", "a b"], '"a b" is no host name'),
        (["--name", "x", "--client", "--valid-for", "0d"], "must be more than 0"),
        (["--name", "x", "--client", "--valid-for", "9y"], 'unknown unit "y"'),
    ],
)
def test_what_cannot_be_issued_is_told(certs: Path, arguments: list[str], complaint: str) -> None:
    done = issue(certs, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert sorted(path.name for path in certs.iterdir()) == ["ca.key", "ca.pem"]


def test_without_a_ca_it_is_told_how_to_make_one(tmp_path: Path) -> None:
    done = issue(tmp_path / "none", "--name", "x", "--client")
    assert done.returncode == 2
    assert "decube certs init" in done.stderr


def test_a_ca_that_openssl_made_signs_too(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    files = ("-keyout", tmp_path / "ca.key", "-out", tmp_path / "ca.pem")
    usage = ("-subj", "/CN=x", "-addext", "keyUsage=critical,keyCertSign")
    command = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", *usage, *files]
    subprocess.run(command, check=True, capture_output=True)
    assert issue(tmp_path, "--name", "a", "--host", "a.test").stderr == ""
    assert verified_for(tmp_path, "a", "sslserver", "-verify_hostname", "a.test")


def test_inspect_tells_what_is_in_a_file(certs: Path) -> None:
    issue(certs, "--name", "node-1", "--host", "a.test,10.0.0.1", "--valid-for", "90d")
    both = certs / "chain.pem"
    both.write_bytes((certs / "node-1.pem").read_bytes() + (certs / "ca.pem").read_bytes())
    leaf, ca = json.loads(Cli()("certs", "inspect", str(both), "-o", "json").stdout)
    assert (leaf["subject"], leaf["issuer"]) == ("CN=node-1", "CN=DeCube CA")
    assert leaf["names"] == ["a.test", "10.0.0.1"]
    assert leaf["days_left"] in (89, 90)
    for moment in (leaf["not_before"], leaf["not_after"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment), moment
    assert leaf["purposes"] == ["server"]
    assert (leaf["is_ca"], ca["is_ca"]) == (False, True)
    table = Cli()("certs", "inspect", str(certs / "node-1.pem")).stdout
    assert "a.test, 10.0.0.1" in table


@pytest.mark.parametrize(
    ("place", "code", "complaint"),
    [
        ("nofile", 2, '"nofile" is neither a file nor HOST:PORT'),
        ("127.0.0.1:1", 7, "cannot reach 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_inspected_is_told(place: str, code: int, complaint: str) -> None:
    done = Cli()("certs", "inspect", place)
    assert done.returncode == code
    assert complaint in done.stderr
    assert "--address" not in done.stderr


def test_inspect_of_a_key_does_not_print_it(certs: Path) -> None:
    done = Cli()("certs", "inspect", str(certs / "ca.key"))
    assert done.returncode == 2
    assert "it holds a private key, and no certificate" in done.stderr
    assert "PRIVATE" not in done.stdout + done.stderr
