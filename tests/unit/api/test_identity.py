"""What a listener accepts of the files it is given, at the start and while it serves."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.support.certificates import Pair, TestAuthority, listener_tls, replace_pair

from decube.api.identity import Identity
from decube.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Certificates are made while the tests run, which may be a while after this was read.
NOW = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - certificates are made at the real time


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


@pytest.fixture
def pair(authority: TestAuthority) -> Pair:
    return authority.issue("server")


def refusal(tls: Callable[[], object] | object, now: datetime = NOW) -> Invalid:
    with pytest.raises(Invalid) as refused:
        Identity(tls, now)  # type: ignore[arg-type]
    assert refused.value.field is not None
    assert refused.value.message.startswith(f"{refused.value.field}: ")
    return refused.value


def test_a_good_pair_is_taken(pair: Pair, authority: TestAuthority) -> None:
    material = Identity(listener_tls(pair, authority.ca_file, "require"), NOW).material
    assert material.leaf.subject == "CN=server"
    assert material.leaf.names == ("localhost", "127.0.0.1")
    assert timedelta(days=19) < material.not_after - NOW < timedelta(days=21)


@pytest.mark.parametrize("which", ["cert_file", "key_file"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file or directory"),
        (b"", "it is not PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ""),
    ],
)
def test_what_is_no_pair_is_refused_by_key(
    pair: Pair, which: str, content: bytes | None, reason: str
) -> None:
    path: Path = getattr(pair, which)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    error = refusal(listener_tls(pair))
    assert error.field == f"security.{which}"
    assert str(path) in error.message
    assert reason in error.message


def test_a_key_of_another_certificate_is_refused(pair: Pair, authority: TestAuthority) -> None:
    other = authority.issue("other")
    error = refusal(listener_tls(Pair(pair.cert_file, other.key_file)))
    assert error.field == "security.key_file"
    assert f"not the key of the certificate in {pair.cert_file}" in error.message


def test_a_key_with_a_passphrase_is_refused(pair: Pair) -> None:
    command = ["openssl", "pkey", "-in", pair.key_file, "-aes256", "-passout", "pass:x"]
    pair.key_file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert "has a passphrase" in refusal(listener_tls(pair)).message


def test_certificates_out_of_their_time_are_refused(pair: Pair, authority: TestAuthority) -> None:
    assert "CN=expired expired at" in refusal(listener_tls(authority.expired())).message
    early = refusal(listener_tls(pair), NOW - timedelta(days=1)).message
    assert "not valid before" in early
    assert "clock" in early


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_ca_file_without_a_certificate_is_refused(
    pair: Pair, authority: TestAuthority, content: bytes
) -> None:
    authority.ca_file.write_bytes(content)
    error = refusal(listener_tls(pair, authority.ca_file, "require"))
    assert error.field == "security.ca_file"
    assert "and no certificate" in error.message


def test_a_new_pair_is_taken_when_it_has_settled(pair: Pair, authority: TestAuthority) -> None:
    identity = Identity(listener_tls(pair), NOW)
    assert not identity.refresh(NOW)
    replace_pair(pair, authority.issue("renewed"))
    assert [identity.refresh(NOW) for _ in range(3)] == [False, True, False]
    assert identity.material.leaf.subject == "CN=renewed"


def test_a_bad_new_pair_is_told_once_and_the_old_one_stays(
    pair: Pair, authority: TestAuthority
) -> None:
    identity = Identity(listener_tls(pair), NOW)
    before = identity.material
    good = pair.cert_file.read_bytes()
    pair.cert_file.write_bytes(authority.issue("other").cert_file.read_bytes())
    assert not identity.refresh(NOW)
    with pytest.raises(Invalid, match="not the key of"):
        identity.refresh(NOW)
    assert not identity.refresh(NOW)
    assert identity.material is before
    pair.cert_file.write_bytes(good)
    os.utime(pair.cert_file, ns=(1, 1))
    assert [identity.refresh(NOW) for _ in range(2)] == [False, True]
