"""Certificates for tests, made by the product's own authority, and files of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from decube.config.listener_tls import ListenerTls, NamedFile
from decube.kit import certificate_authority as making
from decube.kit.certificates import read_certificates, read_private_key

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from decube.config.listener_tls import ClientAuth

HOSTS = ("localhost", "127.0.0.1")
_MONTH = timedelta(days=30)


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key."""

    cert_file: Path
    key_file: Path


class TestAuthority:
    """An authority whose files lie in a directory of the test."""

    __test__ = False

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self.directory = directory
        issued = making.make_authority(name, making.Validity(_now(), _MONTH))
        self.ca_file = directory / f"{name}.pem"
        self.ca_file.write_bytes(issued.certificate)
        self._authority = making.Authority(
            read_certificates(issued.certificate)[0],
            read_private_key(issued.private_key),  # type: ignore[arg-type]
        )

    def issue(
        self,
        name: str,
        *hosts: str,
        begin: timedelta = timedelta(0),
        duration: timedelta = timedelta(days=20),
        client: bool = True,
    ) -> Pair:
        """Issue a certificate for servers, and clients; by default for loopback."""
        request = making.LeafRequest(name, hosts or HOSTS, server=True, client=client)
        validity = making.Validity(_now() + begin, duration)
        issued = making.issue(self._authority, request, validity)
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        pair.cert_file.write_bytes(issued.certificate)
        pair.key_file.write_bytes(issued.private_key)
        return pair

    def expired(self, name: str = "expired") -> Pair:
        """Issue one whose time is over."""
        return self.issue(name, begin=timedelta(days=-2), duration=timedelta(days=1))


def self_signed(directory: Path, key: ec.EllipticCurvePrivateKey) -> Pair:
    """Make one as `openssl req -x509` does: for loopback, and an authority's."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now())
        .not_valid_after(_now() + _MONTH)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(directory / "self.pem", directory / "self.key")
    pair.cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pair.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pair


def listener_tls(
    pair: Pair, ca_file: Path | None = None, client_auth: ClientAuth = "none"
) -> ListenerTls:
    """Return what the settings would give a listener."""
    return ListenerTls(
        NamedFile(pair.cert_file, "security.cert_file"),
        NamedFile(pair.key_file, "security.key_file"),
        None if ca_file is None else NamedFile(ca_file, "security.ca_file"),
        client_auth,
    )


def replace_pair(old: Pair, new: Pair) -> None:
    """Put another pair where one is, as tools do that renew certificates."""
    new.cert_file.replace(old.cert_file)
    new.key_file.replace(old.key_file)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - servers look at the real clock
