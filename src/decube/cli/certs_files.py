"""The files of `decube certs`: written whole, keys for their owner alone, nothing replaced unasked.

Importing this does not import `cryptography`: `decube certs --help` shall be quick.
"""

import ipaddress
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from decube.kit.durations import Duration, parse_duration
from decube.kit.errors import AlreadyExists, Denied, Invalid, system_reason

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    from decube.kit.certificate_authority import Authority, Issued

_NAME_LENGTH_MAX = 64  # of a common name, by the standard
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOST = re.compile(r"(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?\.?)+")
_DAY_S = 86_400


def days_option(_hint: object, tokens: object) -> Duration:
    """Read an option that is a time in days, or a duration; how cyclopts wants a converter."""
    text = str(tokens[0].value).strip()  # type: ignore[index]
    days = text.removesuffix("d")
    if days != text and days.isascii() and days.isdigit():
        duration = Duration.of_seconds(int(days) * _DAY_S)
    else:
        duration = parse_duration(text)
    if duration.nanoseconds <= 0:
        raise ValueError("it must be more than 0")
    return duration


def check_name(name: str, *, is_file: bool = False) -> None:
    """Refuse a name that no certificate, or no file, can have."""
    if not name or len(name) > _NAME_LENGTH_MAX:
        raise Invalid(f"a name has 1 to {_NAME_LENGTH_MAX} characters", field="name")
    if is_file and not _FILE_NAME.fullmatch(name):
        raise Invalid(f'"{name}" cannot name files: use letters, digits and . _ -', field="name")


def hosts_of(given: Sequence[str]) -> list[str]:
    """Return the names and addresses, each once. Raises `Invalid`."""
    hosts = [host.strip() for text in given for host in text.split(",")]
    for host in hosts:
        if not _is_host(host):
            raise Invalid(f'"{host}" is no host name and no IP address', field="host")
    return list(dict.fromkeys(hosts))


def write_pair(directory: Path, name: str, issued: "Issued", *, force: bool) -> list[Path]:
    """Write NAME.pem and NAME.key. Raises `AlreadyExists` unless `force`, and `Denied`."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    for path in (certificate, key):
        if path.exists() and not force:
            raise AlreadyExists(f"{path} exists already", hint="--force replaces it")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key, issued.private_key, 0o600)
        _write(certificate, issued.certificate, 0o644)
    except OSError as error:
        reason = system_reason(error)
        raise Denied(f"cannot write {error.filename}: {reason}") from error
    return [certificate, key]


def read_authority(certificate: Path, key: Path) -> "Authority":
    """Read the CA that shall sign. Raises `Invalid`."""
    from decube.kit.certificate_authority import Authority
    from decube.kit.certificates import belong_together, facts_of, read_private_key

    if not certificate.exists():
        raise Invalid(
            f"there is no CA: {certificate} does not exist",
            field="dir",
            hint="`decube certs init` makes one; --dir says where it is",
        )
    first = read_file(certificate)[0]
    try:
        signing = read_private_key(_read(key))
    except ValueError as error:
        raise Invalid(f"{key}: {error}", field="dir") from error
    if not facts_of(first).is_authority:
        raise Invalid(f"{certificate} is not the certificate of a CA", field="dir")
    if not belong_together(first, signing):
        raise Invalid(f"{key} is not the key of {certificate}", field="dir")
    return Authority(first, cast("CertificateIssuerPrivateKeyTypes", signing))


def read_file(path: Path) -> "list[x509.Certificate]":
    """Read the certificates of a file. Raises `Invalid`."""
    from decube.kit.certificates import read_certificates

    try:
        return read_certificates(_read(path))
    except ValueError as error:
        raise Invalid(f"{path}: {error}", field="file") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = system_reason(error)
        raise Invalid(f"cannot read {path}: {reason}", field="file") from error


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole: who reads it sees the old one or the new one."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True
