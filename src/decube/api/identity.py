"""What a listener shows to its clients, and by whom it knows them: read, checked, replaced.

An `Identity` belongs to one listener and lasts as long as it does; `material` is what the next
handshake uses. Files are read whole and checked before anything is replaced, so that a bad pair on
the disk never ends a listener that has a good one. `refresh` is called by one task; listeners read
`material` from any thread.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from decube.kit.certificates import (
    belong_together,
    facts_of,
    read_certificates,
    read_private_key,
)
from decube.kit.errors import Invalid, system_reason
from decube.model.timestamps import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from decube.config.listener_tls import ClientAuth, ListenerTls, NamedFile
    from decube.kit.certificates import CertificateFacts

_VERIFY_MODES: Final = {
    "none": ssl.CERT_NONE,
    "request": ssl.CERT_OPTIONAL,
    "require": ssl.CERT_REQUIRED,
}
_NOTHING: Final = timedelta(0)

# What tells that a file was replaced or rewritten: inode, size, time of the last change.
Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Material:
    """A certificate with its key, checked, and the authorities of clients.

    `not_after` is when the first certificate of the chain expires.
    """

    certificate_pem: bytes
    private_key_pem: bytes
    authorities_pem: bytes | None
    leaf: CertificateFacts
    not_after: datetime
    context: ssl.SSLContext


class Identity:
    """The material of one listener, as of now."""

    def __init__(self, tls: ListenerTls, now: datetime) -> None:
        """Read the files. Raises `Invalid`, which names the key of the culprit."""
        self.tls = tls
        self._seen = self._signature()
        self.material = read_material(tls, now)
        self._settling: Signature | None = None

    @property
    def client_auth(self) -> ClientAuth:
        """What is asked of clients."""
        return self.tls.client_auth

    def refresh(self, now: datetime) -> bool:
        """Take what changed on the disk; tell whether something did.

        A change counts once it was seen twice: a pair is two files, and written one by one. Raises
        `Invalid` once for each bad state of the files; the material stays as it was.
        """
        signature = self._signature()
        if signature == self._seen:
            self._settling = None
            return False
        if signature != self._settling:
            self._settling = signature
            return False
        self._seen = signature
        self.material = read_material(self.tls, now)
        return True

    def _signature(self) -> Signature:
        return tuple(_look(file) for file in _files(self.tls))


def read_material(tls: ListenerTls, now: datetime) -> Material:
    """Read and check the files. Raises `Invalid`."""
    certificate_pem, private_key_pem = _read(tls.certificate), _read(tls.private_key)
    try:
        chain = read_certificates(certificate_pem)
    except ValueError as error:
        raise _refused(tls.certificate, str(error)) from error
    try:
        key = read_private_key(private_key_pem)
    except ValueError as error:
        raise _refused(tls.private_key, str(error)) from error
    if not belong_together(chain[0], key):
        raise _refused(
            tls.private_key, f"it is not the key of the certificate in {tls.certificate.path}"
        )
    facts = [facts_of(certificate) for certificate in chain]
    for each in facts:
        _check_validity(tls.certificate, each, now)
    if not facts[0].serves:
        raise _refused(
            tls.certificate, "the certificate is not for servers: clients would refuse it"
        )
    authorities_pem = None
    if tls.authorities is not None:
        authorities_pem = _read(tls.authorities)
        _check_authorities(tls.authorities, authorities_pem, now)
    return Material(
        certificate_pem=certificate_pem,
        private_key_pem=private_key_pem,
        authorities_pem=authorities_pem,
        leaf=facts[0],
        not_after=min(each.not_after for each in facts),
        context=_context(tls, certificate_pem + b"\n" + private_key_pem, authorities_pem),
    )


def _context(tls: ListenerTls, pair_pem: bytes, authorities_pem: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load_pair(context, pair_pem)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        raise _refused(tls.certificate, f"OpenSSL does not take it: {reason}") from error
    if authorities_pem is not None:
        context.verify_mode = _VERIFY_MODES[tls.client_auth]
        context.load_verify_locations(cadata=authorities_pem.decode("ascii", "replace"))
        # A resumed session is not verified again: who is not trusted any more shall not have one.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


def _load_pair(context: ssl.SSLContext, pair_pem: bytes) -> None:
    """Load a pair from memory: what was checked, not what the files hold by now."""
    file = os.memfd_create("tls-pair")
    try:
        with os.fdopen(os.dup(file), "wb") as writer:
            writer.write(pair_pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def _check_validity(file: NamedFile, facts: CertificateFacts, now: datetime) -> None:
    if facts.left(now) <= _NOTHING:
        raise _refused(
            file, f"the certificate of {facts.subject} expired at {rfc3339(facts.not_after)}"
        )
    if facts.not_before > now:
        raise _refused(
            file,
            f"the certificate of {facts.subject} is not valid before "
            f"{rfc3339(facts.not_before)}: is this machine's clock right?",
        )


def _check_authorities(file: NamedFile, pem: bytes, now: datetime) -> None:
    try:
        authorities = [facts_of(certificate) for certificate in read_certificates(pem)]
    except ValueError as error:
        raise _refused(file, str(error)) from error
    if all(each.left(now) <= _NOTHING for each in authorities):
        raise _refused(file, f"the CA {authorities[0].subject} has expired")


def _files(tls: ListenerTls) -> tuple[NamedFile, ...]:
    pair = (tls.certificate, tls.private_key)
    return pair if tls.authorities is None else (*pair, tls.authorities)


def _look(file: NamedFile) -> tuple[int, int, int]:
    try:
        found = file.path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _read(file: NamedFile) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        reason = system_reason(error)
        raise Invalid(f"{file.key}: cannot read {file.path}: {reason}", field=file.key) from error


def _refused(file: NamedFile, reason: str) -> Invalid:
    return Invalid(f"{file.key}: {file.path}: {reason}", field=file.key)
