"""A remote store over TLS, against a real etcd that asks for client certificates."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.support.node import ServerProcess
from tests.support.peers import peer
from tools.ports import free_port

from decube.kit.errors import Invalid, Unavailable
from decube.store.remote import RemoteOptions, RemoteStore, TlsOptions
from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER_NAME = "etcd.test"


class Authority:
    """A certificate authority made for one test, by openssl."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.ca_file = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        self._make("-x509", "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.ca_file)

    def issue(self, name: str) -> tuple[Path, Path]:
        """Issue a certificate for a host name; its file and its key's."""
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        extension = ("-addext", f"subjectAltName=DNS:{name}")
        signing = ("-CA", self.ca_file, "-CAkey", self._key)
        names = ("-subj", f"/CN={name}", "-keyout", key, "-out", certificate)
        self._make("-x509", *extension, *signing, *names)
        return certificate, key

    @staticmethod
    def _make(*arguments: str | Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is not installed")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        subprocess.run([openssl, "req", *curve, *arguments], check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def endpoint(tmp_path: Path, authority: Authority) -> Iterator[str]:
    """Start a real etcd that is `etcd.test` and trusts clients of the authority only."""
    certificate, key = authority.issue(SERVER_NAME)
    client, peers, plain = (f"127.0.0.1:{free_port()}" for _ in range(3))
    process = ServerProcess(
        [
            peer("server"),
            f"--data-dir={tmp_path / 'etcd'}",
            f"--listen-client-urls=https://{client}",
            f"--advertise-client-urls=https://{client}",
            f"--listen-peer-urls=http://{peers}",
            f"--initial-advertise-peer-urls=http://{peers}",
            f"--initial-cluster=default=http://{peers}",
            f"--listen-metrics-urls=http://{plain}",
            f"--cert-file={certificate}",
            f"--key-file={key}",
            f"--trusted-ca-file={authority.ca_file}",
            "--client-cert-auth",
            "--log-level=error",
        ],
        f"http://{plain}/readyz",
        tmp_path / "etcd.log",
    )
    process.ensure_started()
    yield f"https://{client}"
    process.kill()


async def connect(endpoint: str, tls: TlsOptions | None) -> None:
    options = RemoteOptions(endpoints=(endpoint,), tls=tls, request_timeout_s=1.5)
    store = await RemoteStore.connect(options)
    try:
        await store.txn(Txn(success=(Put(b"a", b"1"),)))
    finally:
        await store.close()


async def test_certificates_decide_who_may_connect(
    endpoint: str, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("client.test")
    trusted = TlsOptions(
        ca_file=authority.ca_file, cert_file=certificate, key_file=key, server_name=SERVER_NAME
    )
    await connect(endpoint, trusted)

    stranger = Authority(tmp_path, "stranger")
    other_certificate, other_key = stranger.issue("stranger.test")
    refused = {
        "no certificates at all": None,
        "an authority we do not trust": TlsOptions(
            ca_file=stranger.ca_file,
            cert_file=certificate,
            key_file=key,
            server_name=SERVER_NAME,
        ),
        "the wrong name": TlsOptions(
            ca_file=authority.ca_file, cert_file=certificate, key_file=key, server_name="other.test"
        ),
        "no client certificate": TlsOptions(ca_file=authority.ca_file, server_name=SERVER_NAME),
        "a client that etcd does not trust": TlsOptions(
            ca_file=authority.ca_file,
            cert_file=other_certificate,
            key_file=other_key,
            server_name=SERVER_NAME,
        ),
    }
    for tls in refused.values():
        with pytest.raises(Unavailable):
            await connect(endpoint, tls)


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"no\.pem") as refused:
        await connect("https://127.0.0.1:1", TlsOptions(ca_file=tmp_path / "no.pem"))
    assert refused.value.field == "ca_file"
