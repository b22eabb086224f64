"""The command that a node proposes when it is ready is one that it answers."""

from __future__ import annotations

import msgspec
import pytest

from decube.config.settings import Settings
from decube.daemon.announce import first_command
from decube.services.node import NodeInfo

CERTIFICATE = {"tls_enabled": True, "cert_file": "node.pem", "key_file": "node.key"}


@pytest.mark.parametrize(
    ("security", "command"),
    [
        ({}, "curl http://localhost:8080/health"),
        (CERTIFICATE, "curl --cacert CA.pem https://localhost:8080/health"),
        (
            {**CERTIFICATE, "ca_file": "clients.pem"},
            "curl --cacert CA.pem --cert CLIENT.pem --key CLIENT.key https://localhost:8080/health",
        ),
        (
            {
                **CERTIFICATE,
                "ca_file": "clients.pem",
                "listeners": {"rest": {"client_auth": "none"}},
            },
            "curl --cacert CA.pem https://localhost:8080/health",
        ),
    ],
)
def test_it_names_the_certificates_that_are_needed(
    security: dict[str, object], command: str
) -> None:
    settings = msgspec.convert({"security": security}, Settings)
    scheme = "https" if security else "http"
    assert first_command(node(address=f"{scheme}://localhost:8080"), settings) == command


def test_without_rest_it_is_etcdctls() -> None:
    settings = msgspec.convert({"security": {**CERTIFICATE, "ca_file": "clients.pem"}}, Settings)
    assert first_command(node(etcd_address="https://localhost:2379"), settings) == (
        "etcdctl --cacert CA.pem --cert CLIENT.pem --key CLIENT.key "
        "--endpoints=https://localhost:2379 endpoint status"
    )


def node(**addresses: str) -> NodeInfo:
    facts = {"node_id": "node-1", "version": "0.1.0", "is_leader": True, "leader_addr": ""}
    return NodeInfo(**{"address": "", **facts, **addresses})
