"""A small certificate authority, for trying TLS out and for machines without another.

Keys are EC P-256, which every TLS client takes (Ed25519 is refused by some). An authority signs
leaf certificates only: it cannot make further authorities.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from decube.kit.certificates import subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificateIssuerPrivateKeyTypes,
        CertificateIssuerPublicKeyTypes,
    )

# Machines' clocks differ a little, and one that is behind shall accept it at once.
_BACKDATED: Final = timedelta(minutes=5)


class Issued(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    private_key: bytes


class Authority(NamedTuple):
    """Who signs."""

    certificate: x509.Certificate
    private_key: CertificateIssuerPrivateKeyTypes


@dataclass(frozen=True, slots=True)
class Validity:
    """From now on, for some time."""

    now: datetime
    duration: timedelta

    @property
    def end(self) -> datetime:
        """The moment it expires."""
        return self.now + self.duration


@dataclass(frozen=True, slots=True)
class LeafRequest:
    """Whom a certificate is for: `hosts` are names and IP addresses."""

    name: str
    hosts: Sequence[str]
    server: bool
    client: bool


def make_authority(name: str, validity: Validity) -> Issued:
    """Make an authority that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = (
        _begun(subject, subject, key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign", "digital_signature"), critical=True)
    )
    return Issued(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue(authority: Authority, request: LeafRequest, validity: Validity) -> Issued:
    """Issue a certificate, no longer valid than the authority itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(validity.end, authority.certificate.not_valid_after_utc)
    purposes = []
    if request.server:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if request.client:
        purposes.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = (
        _begun(
            _subject(request.name),
            subject_of(authority.certificate),
            key.public_key(),
            Validity(validity.now, end - validity.now),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(_issuer_key(authority)),
            critical=False,
        )
    )
    if request.hosts:
        names = x509.SubjectAlternativeName([_name(host) for host in request.hosts])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(authority.private_key, _digest(authority))
    return Issued(_pem(signed), _key_pem(key))


def _issuer_key(authority: Authority) -> CertificateIssuerPublicKeyTypes:
    return cast("CertificateIssuerPublicKeyTypes", authority.certificate.public_key())


def _digest(authority: Authority) -> hashes.SHA256 | None:
    """Return what a signature is made over; the Edwards curves bring their own."""
    own = (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
    return None if isinstance(authority.private_key, own) else hashes.SHA256()


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.now - _BACKDATED)
        .not_valid_after(validity.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*names: str) -> x509.KeyUsage:
    flags = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**flags, **dict.fromkeys(names, True)})


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
