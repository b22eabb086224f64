"""Certificates are told as they are, whoever made them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from decube.kit.certificate_authority import Authority, LeafRequest, Validity, issue
from decube.kit.certificates import facts_of, read_certificates

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def authority_of(country: str) -> Authority:
    """Return one as other tools make it: they do not count the letters of a country."""
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.warns(UserWarning, match="length"):
        attribute = x509.NameAttribute(NameOID.COUNTRY_NAME, country, _validate=False)
    name = x509.Name([attribute])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + YEAR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (read,) = read_certificates(made.public_bytes(serialization.Encoding.PEM))
    return Authority(read, key)


@pytest.mark.parametrize("country", ["USA", "D"])
def test_a_country_of_any_length_is_no_warning(country: str) -> None:
    """Warnings are errors in tests, and lines on the user's terminal otherwise."""
    authority = authority_of(country)
    request = LeafRequest("leaf", ("localhost",), server=True, client=False)
    issued = issue(authority, request, Validity(BEGIN, YEAR))
    (leaf,) = read_certificates(issued.certificate)
    assert facts_of(leaf).issuer == f"C={country}"
    assert facts_of(authority_of(country).certificate).subject == f"C={country}"
