"""Nodes that know each other by certificates: the standby passes on what is the primary's."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.support.certificates import Pair, TestAuthority
from tests.support.peers import etcdctl_of
from tests.support.tls_node import TlsNode
from tools.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path


def member(directory: Path, authority: TestAuthority, role: str, ports: tuple[int, int]) -> TlsNode:
    directory.mkdir()
    own, other = ports
    return TlsNode(
        directory,
        authority,
        authority.issue(role),
        DECUBE_NODE_ID=role,
        DECUBE_NODE_PEER_ADDRESSES=f"127.0.0.1:{other}",
        DECUBE_REPLICATION_ROLE=role,
        DECUBE_REPLICATION_LISTEN_ADDRESS=f"127.0.0.1:{own}",
        DECUBE_REPLICATION_RETRY_INTERVAL="100ms",
        DECUBE_SECURITY_CA_FILE=str(authority.ca_file),
    )


def etcdctl(node: TlsNode, client: Pair, *words: str) -> subprocess.CompletedProcess[str]:
    line = [etcdctl_of("3.7.1"), f"--endpoints=https://{node.etcd_address}", *words]
    line += [f"--cacert={node.authority.ca_file}", f"--cert={client.cert_file}"]
    line += [f"--key={client.key_file}"]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)


def test_a_certificate_that_peers_would_refuse_of_a_client_is_refused_at_the_start(
    tmp_path: Path,
) -> None:
    authority = TestAuthority(tmp_path)
    pair = authority.issue("server-only", client=False)
    node = member(tmp_path / "a", authority, "primary", (free_port(), free_port()))
    node.environment = {
        **node.environment,
        "DECUBE_SECURITY_CERT_FILE": str(pair.cert_file),
        "DECUBE_SECURITY_KEY_FILE": str(pair.key_file),
    }
    node.start()
    assert node.running.wait(timeout=30) == 27
    assert "security.cert_file" in node.said()
    assert "for servers only" in node.said()


async def test_etcdctl_writes_through_a_standby_over_tls(tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    client = authority.issue("client")
    one, other = free_port(), free_port()
    primary = member(tmp_path / "a", authority, "primary", (one, other))
    standby = member(tmp_path / "b", authority, "standby", (other, one))
    try:
        for node in (primary, standby):
            node.start()
        for node in (primary, standby):
            node.wait_until_ready()
        written = etcdctl(standby, client, "put", "key", "value")
        assert written.stdout == "OK\n", written.stderr + standby.said()
        assert etcdctl(primary, client, "get", "key").stdout == "key\nvalue\n"
        status = standby.cli(client)("replication", "status", "-o", "json")
        told = f'"etcd_address": "https://{primary.etcd_address}"'
        assert told in status.stdout, status
    finally:
        primary.kill()
        standby.kill()
