"""Endpoints and certificates are checked before anything connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from decube.kit.errors import Invalid
from decube.store.remote import RemoteOptions, TlsOptions
from decube.store.remote.options import Endpoint


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("10.0.0.1:2379", "10.0.0.1:2379", False),
        ("http://etcd.example:2379", "etcd.example:2379", False),
        ("https://etcd.example:2379/", "etcd.example:2379", True),
        ("http://[::1]:2379", "[::1]:2379", False),
    ],
)
def test_an_endpoint_is_host_and_port_with_a_scheme_or_without(
    text: str, target: str, *, tls: bool
) -> None:
    assert Endpoint.parse(text) == Endpoint(target, tls)


@pytest.mark.parametrize(
    "text", ["", "etcd", "etcd:", "etcd:99999", "ftp://etcd:2379", "http://etcd:1/path", "u@etcd:1"]
)
def test_what_is_no_endpoint_is_refused_by_field(text: str) -> None:
    with pytest.raises(Invalid, match="host:port") as refused:
        RemoteOptions(endpoints=(text,))
    assert refused.value.field == "endpoints"


def test_no_endpoint_and_half_a_certificate_are_refused() -> None:
    with pytest.raises(Invalid):
        RemoteOptions(endpoints=())
    with pytest.raises(Invalid) as refused:
        TlsOptions(cert_file=Path("cert.pem"))
    assert refused.value.field == "key_file"
