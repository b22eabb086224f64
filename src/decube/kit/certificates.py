"""X.509 certificates: read from PEM, and told in words.

Importing this costs what `cryptography` costs, about 0.1 s: whoever needs it imports it late.
"""

from __future__ import annotations

import ipaddress
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificatePublicKeyTypes,
        PrivateKeyTypes,
    )

_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_PURPOSES: Final = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any",
}


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says. `names` are its hosts and addresses, without their kind.

    `purposes` holds `server`, `client`, `any` or object identifiers; without any all are allowed.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    is_authority: bool
    usages: tuple[str, ...]
    purposes: tuple[str, ...]
    key: str
    serial: str
    fingerprint: str

    @property
    def serves(self) -> bool:
        """Whether clients accept it of a server."""
        return not self.purposes or "server" in self.purposes or "any" in self.purposes

    @property
    def calls(self) -> bool:
        """Whether servers accept it of a client."""
        return not self.purposes or "client" in self.purposes or "any" in self.purposes

    def left(self, now: datetime) -> timedelta:
        """Return the time until it expires; negative once it has."""
        return self.not_after - now


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Read all certificates of a PEM text. Raises `ValueError` with the reason."""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(f"{_found_in(pem)}, and no certificate")
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ValueError("a certificate in it is damaged") from error


def read_private_key(pem: bytes) -> PrivateKeyTypes:
    """Read a private key. Raises `ValueError` with the reason."""
    if b"PRIVATE KEY-----" not in pem:
        raise ValueError(f"{_found_in(pem)}, and no private key")
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError("the key has a passphrase: write it without one") from error
    except ValueError as error:
        raise ValueError("the private key in it is damaged") from error


def _found_in(pem: bytes) -> str:
    if b"PRIVATE KEY-----" in pem:
        return "it holds a private key"
    return "it holds a certificate" if b"-----BEGIN CERTIFICATE-----" in pem else "it is not PEM"


def belong_together(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Tell whether a key is that of a certificate."""
    return _spki(certificate.public_key()) == _spki(key.public_key())


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """Tell a certificate in words."""
    with _any_name():
        return CertificateFacts(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            names=_names(certificate),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            is_authority=_is_authority(certificate),
            usages=_usages(certificate),
            purposes=_purposes(certificate),
            key=_key_kind(certificate.public_key()),
            serial=f"{certificate.serial_number:x}",
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        )


def subject_of(certificate: x509.Certificate) -> x509.Name:
    """Return the name that a certificate is for."""
    with _any_name():
        return certificate.subject


@contextmanager
def _any_name() -> Iterator[None]:
    """Take names as they are: a country of three letters is worth no warning of the library's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
        yield


def _spki(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]  # all kinds of keys have it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    values = (getattr(name, "value", None) for name in names)
    shown = (str, ipaddress.IPv4Address, ipaddress.IPv6Address)
    return tuple(str(value) for value in values if isinstance(value, shown))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.replace("_", " ") for name in _USAGES if getattr(usage, name))


def _purposes(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_PURPOSES.get(purpose, purpose.dotted_string) for purpose in usage)


def _key_kind(key: CertificatePublicKeyTypes) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    return type(key).__name__.removesuffix("PublicKey")
