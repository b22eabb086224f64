"""A whole node over TLS: what it tells, who may call it, and that it renews while it serves."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.support.certificates import Pair, TestAuthority, replace_pair
from tests.support.cli import Cli
from tests.support.peers import peer
from tests.support.tls_node import TlsNode
from tests.support.waiting import WAIT_S_MAX, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.node import ServerProcess

Start = "Callable[..., TlsNode]"


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


@pytest.fixture
def start(
    tmp_path: Path, authority: TestAuthority, servers: list[ServerProcess]
) -> Callable[..., TlsNode]:
    """Start a node with a good pair."""

    def start_node(**settings: str) -> TlsNode:
        node = TlsNode(tmp_path, authority, authority.issue("server"), **settings)
        servers.append(node)
        node.ensure_started()
        return node

    return start_node


def shown_by(node: TlsNode, address: str) -> str:
    """Return the subject that a listener shows."""
    context = ssl.create_default_context(cafile=node.authority.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), WAIT_S_MAX) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        shown = connection.getpeercert()
    assert shown is not None
    return str(dict(pair[0] for pair in shown["subject"])["commonName"])


def wait_until_shown(node: TlsNode, address: str, name: str) -> None:
    """Wait for a listener that looks at the files by itself."""
    wait_until(lambda: shown_by(node, address) == name, f"{address} shows {name}")


def test_a_node_tells_https_and_every_command_works(start: Callable[..., TlsNode]) -> None:
    node = start()
    cli = node.cli()
    info = json.loads(cli("status", "-o", "json").stdout)
    assert info["address"] == info["leader_addr"] == f"https://{node.rest_address}"
    assert info["grpc_address"] == f"https://{node.grpc_address}"
    assert info["etcd_address"] == f"https://{node.etcd_address}"
    assert cli("pods", "create", "web").returncode == 0
    assert cli("pods", "get", "web", "-o", "name").stdout == "pod/web\n"
    assert cli("kv", "put", "a", "1").returncode == 0
    assert "1" in cli("kv", "get", "a").stdout.split()
    assert f"curl --cacert CA.pem https://{node.rest_address}/health" in node.said()
    assert node.stop() == 0


def test_who_does_not_trust_or_name_the_ca_is_told_what_to_do(
    start: Callable[..., TlsNode], tmp_path: Path
) -> None:
    node = start()
    stranger = TestAuthority(tmp_path, "stranger")
    for arguments, code, said, hint in (
        (("--address", node.rest_address), 2, "the node speaks TLS", "--cacert"),
        (("--address", f"https://{node.rest_address}"), 7, "is not trusted", "--cacert"),
        (
            ("--address", node.rest_address, "--cacert", str(stranger.ca_file)),
            7,
            "is not trusted",
            "decube certs inspect",
        ),
        (
            ("--address", f"http://{node.rest_address}", "--cacert", str(stranger.ca_file)),
            2,
            "write https://",
            "",
        ),
        (
            ("--address", node.rest_address, "--cacert", str(tmp_path / "none.pem")),
            2,
            "none.pem cannot be used: no such file",
            "",
        ),
        (
            ("--address", node.rest_address, "--cert", str(node.pair.cert_file)),
            2,
            "--key is missing",
            "",
        ),
    ):
        done = Cli()("status", *arguments)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert hint in done.stderr
        assert "Traceback" not in done.stderr
    inspected = Cli()("certs", "inspect", node.rest_address, "-o", "json")
    assert json.loads(inspected.stdout)[0]["subject"] == "CN=server"


def test_clients_are_asked_for_a_certificate_where_a_ca_is_set(
    start: Callable[..., TlsNode], authority: TestAuthority, tmp_path: Path
) -> None:
    node = start(DECUBE_SECURITY_CA_FILE=str(authority.ca_file))
    alice = authority.issue("alice")
    assert node.cli(alice)("pods", "create", "web").returncode == 0
    assert node.cli(alice)("kv", "put", "a", "1").returncode == 0
    for nobody in (None, TestAuthority(tmp_path, "stranger").issue("mallory")):
        for command in (("pods", "list"), ("kv", "get", "a")):
            done = node.cli(nobody)(*command)
            assert done.returncode == 7
            assert "does not accept this client" in done.stderr
            assert "--cert and --key" in done.stderr
        endpoints = ("--endpoints", f"https://{node.etcd_address}")
        refused = node.cli(nobody)("kv", "get", "a", *endpoints, "--timeout", "10m")
        assert refused.returncode == 7
        assert "does not accept this client" in refused.stderr
        assert "--cert and --key" in refused.stderr


def test_a_renewed_pair_is_shown_while_a_watch_goes_on(
    start: Callable[..., TlsNode], authority: TestAuthority
) -> None:
    node = start()
    with node.cli().start("pods", "watch", "-o", "name") as watch:
        assert watch.stdout is not None
        assert node.cli()("pods", "create", "before").returncode == 0
        assert watch.stdout.readline() == "pod/before\n"
        replace_pair(node.pair, authority.issue("renewed"))
        node.wait_until_written(node.log, "certificate reloaded")
        assert shown_by(node, node.rest_address) == "renewed"
        assert shown_by(node, node.grpc_address) == "renewed"
        wait_until_shown(node, node.etcd_address, "renewed")
        assert node.cli()("pods", "create", "after").returncode == 0
        assert watch.stdout.readline() == "pod/after\n"
    node.pair.key_file.write_text("not a key")
    node.wait_until_written(node.log, "the new certificate is refused, the old one stays")
    assert shown_by(node, node.rest_address) == "renewed"


def test_metrics_tell_when_certificates_expire(start: Callable[..., TlsNode]) -> None:
    node = start()
    page = subprocess.run(
        ["curl", "-sS", "--cacert", node.authority.ca_file, f"https://{node.rest_address}/metrics"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    name = "decube_tls_certificate_not_after_timestamp_seconds"
    for listener in ("rest", "grpc", "etcd"):
        assert f'{name}{{listener="{listener}"}}' in page


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a node that must be refused for its certificates; return what it said."""

    def start_refused(pair: Pair, **settings: str) -> str:
        environment = {
            "DECUBE_NODE_DATA_DIR": str(tmp_path / "data"),
            "DECUBE_SECURITY_TLS_ENABLED": "true",
            "DECUBE_SECURITY_CERT_FILE": str(pair.cert_file),
            "DECUBE_SECURITY_KEY_FILE": str(pair.key_file),
            **settings,
        }
        done = Cli(environment)("up")
        assert done.returncode == 27, done.stderr
        assert "Traceback" not in done.stderr
        assert "decube certs" in done.stderr.splitlines()[1]
        return done.stderr

    yield start_refused
    assert not (tmp_path / "data" / "etcd").exists()


def test_files_that_do_not_serve_are_refused_at_the_start(
    refused: Callable[..., str], authority: TestAuthority
) -> None:
    good, other = authority.issue("good"), authority.issue("other")
    assert "security.cert_file: cannot read" in refused(
        Pair(authority.directory / "none.pem", good.key_file)
    )
    assert "security.key_file" in refused(Pair(good.cert_file, other.key_file))
    assert "CN=expired expired at" in refused(authority.expired())
    assert "security.ca_file" in refused(good, DECUBE_SECURITY_CA_FILE=str(good.key_file))


def test_etcdctl_and_the_etcd_port_agree_on_who_is_trusted(
    start: Callable[..., TlsNode], authority: TestAuthority, tmp_path: Path
) -> None:
    node = start(DECUBE_SECURITY_CA_FILE=str(authority.ca_file))
    stranger = TestAuthority(tmp_path, "stranger")

    def gets(ca_file: Path, client: Pair | None, host: str = "127.0.0.1") -> bool:
        shown = [] if client is None else ["--cert", client.cert_file, "--key", client.key_file]
        endpoint = f"--endpoints=https://{host}:{node.ports['etcd']}"
        command = [peer("etcdctl"), endpoint, "--cacert", ca_file, "--dial-timeout=2s"]
        done = subprocess.run(
            [*command, "--command-timeout=3s", *shown, "get", "a"], capture_output=True, check=False
        )
        return done.returncode == 0

    alice = authority.issue("alice")
    assert gets(authority.ca_file, alice)
    assert gets(authority.ca_file, alice, "localhost")
    assert not gets(authority.ca_file, None)
    assert not gets(authority.ca_file, stranger.issue("mallory"))
    assert not gets(authority.ca_file, authority.expired())
    assert not gets(stranger.ca_file, alice)
    assert not gets(authority.ca_file, alice, "127.0.0.2")


def test_one_listener_may_differ_from_the_others(
    start: Callable[..., TlsNode], authority: TestAuthority
) -> None:
    own = authority.issue("own")
    node = start(
        DECUBE_SECURITY_CA_FILE=str(authority.ca_file),
        DECUBE_SECURITY_LISTENERS_REST_CLIENT_AUTH="none",
        DECUBE_SECURITY_LISTENERS_REST_CERT_FILE=str(own.cert_file),
        DECUBE_SECURITY_LISTENERS_REST_KEY_FILE=str(own.key_file),
    )
    assert shown_by(node, node.rest_address) == "own"
    assert node.cli()("status").returncode == 0
    assert node.cli()("kv", "get", "a", "--timeout", "1s").returncode == 7
    assert node.cli(authority.issue("alice"))("kv", "put", "a", "1").returncode == 0


def test_who_speaks_no_tls_is_told_by_its_address(start: Callable[..., TlsNode]) -> None:
    node = start()
    host, _, port = node.etcd_address.rpartition(":")
    with socket.create_connection((host, int(port)), WAIT_S_MAX) as plain:
        plain.sendall(b"no TLS")
        client = "{}:{}".format(*plain.getsockname())
        wait_until(lambda: "a TLS handshake failed" in node.said(), "the failure is told")
    (told,) = [line for line in node.said().splitlines() if "a TLS handshake failed" in line]
    assert json.loads(told)["client"] == client
