"""Encryption at rest by age, chunk by chunk: what `age --decrypt -i KEY chunk-0` reads as well.

Recipients are public keys (`age1...`, or ssh-ed25519 and ssh-rsa ones), so a node that takes
snapshots needs no secret; identities are their private halves, in a file that only restoring reads.
pyrage is fed by small reads through Python, because it holds the interpreter for as long as one
call into it lasts: so the event loop gets its turn every few milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from decube.kit.errors import Damaged, Denied, Invalid, system_reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedIOBase
    from pathlib import Path

    import pyrage

    Recipient = pyrage.x25519.Recipient | pyrage.ssh.Recipient
    Identity = pyrage.x25519.Identity | pyrage.ssh.Identity

_IDENTITY_BYTES_MAX: Final = 1 << 20
_WRONG_KEY: Final = "no matching keys"


class Recipients:
    """Who will be able to read what is sealed."""

    def __init__(self, recipients: Sequence[Recipient]) -> None:
        self._recipients = tuple(recipients)

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Recipients:
        """Read public keys. Raises `Invalid`."""
        import pyrage  # noqa: PLC0415 - only where snapshots are encrypted

        found: list[Recipient] = []
        for text in texts:
            kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
            try:
                found.append(kind.Recipient.from_str(text.strip()))
            except pyrage.RecipientError as error:
                raise Invalid(
                    f'"{text}" is no recipient: write an age public key (age1...) or an SSH one',
                    field="snapshot.encryption.recipients",
                ) from error
        return cls(found)

    def seal(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Encrypt; takes a while, call it in a thread."""
        import pyrage  # noqa: PLC0415

        sealed = _Writer()
        pyrage.encrypt_io(_as_file(_Reader(pieces)), _as_file(sealed), self._recipients)
        return sealed.pieces


class Identities:
    """What opens sealed chunks. `origin` is where they came from, for messages."""

    def __init__(self, identities: Sequence[Identity], origin: str) -> None:
        self._identities = tuple(identities)
        self.origin = origin

    @classmethod
    def load(cls, path: Path) -> Identities:
        """Read a file of age's (`age-keygen` makes one) or an SSH private key.

        Raises `Invalid`; no text tells anything of what is in the file.
        """
        import pyrage  # noqa: PLC0415 - only where snapshots are encrypted

        try:
            with path.expanduser().open("rb") as file:
                content = file.read(_IDENTITY_BYTES_MAX)
        except OSError as error:
            reason = system_reason(error)
            raise Invalid(f"cannot read the identity file {path}: {reason}") from error
        found: list[Identity] = []
        try:
            if b"PRIVATE KEY-----" in content:
                found.append(pyrage.ssh.Identity.from_buffer(content))
            else:
                lines = content.decode().splitlines()
                keys = [line.strip() for line in lines if line.strip() and line[0] != "#"]
                found += [pyrage.x25519.Identity.from_str(key) for key in keys]
        except (pyrage.IdentityError, UnicodeDecodeError):
            found = []
        if not found:
            # Without a cause: its text could tell what is in the file.
            raise Invalid(
                f"the identity file {path} holds no age or SSH private key that can be used"
            )
        return cls(found, str(path))

    def open(self, pieces: Sequence[bytes], what: str) -> list[bytes]:
        """Decrypt; takes a while, call it in a thread. Raises `Denied` and `Damaged`."""
        import pyrage  # noqa: PLC0415

        opened = _Writer()
        try:
            pyrage.decrypt_io(_as_file(_Reader(pieces)), _as_file(opened), self._identities)
        except (pyrage.DecryptError, OSError) as error:
            # It is an OSError from behind the header on.
            if _WRONG_KEY in str(error).lower():
                raise Denied(f"none of the keys in {self.origin} opens {what}") from error
            raise Damaged(f"{what} is damaged: it does not decrypt") from error
        return opened.pieces


def need_identities(what: str) -> Denied:
    """Say that something is encrypted and that there is no key."""
    return Denied(
        f"{what} is encrypted, and there is no key to open it",
        hint="name the file with the age identity by snapshot.encryption.identity_file, "
        "or where there is no node by --identity-file",
    )


class _Reader:
    """Pieces as a file to be read."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._piece:
            following = next(self._pieces, None)
            if following is None:
                return b""
            self._piece = memoryview(following)
        part, self._piece = self._piece[:size], self._piece[size:]
        return bytes(part)


class _Writer:
    """A file that keeps what is written to it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: all is kept."""


def _as_file(thing: _Reader | _Writer) -> BufferedIOBase:
    """Pass for a file: pyrage calls the few methods that these have."""
    return cast("BufferedIOBase", thing)
