"""Identities: the one place that makes them up.

All are unguessable but the sequential fake's, which tests use to know them beforehand.
"""

from __future__ import annotations

import itertools
import secrets
import uuid
from typing import Protocol

REQUEST_ID_BYTES = 12
TOKEN_BYTES_MIN = 16


class Ids(Protocol):
    """Where identities come from."""

    def uid(self) -> str:
        """Make the identity of an object for all time, in UUID form."""
        ...

    def request_id(self) -> str:
        """Make the identity of one request, for logs: short, URL-safe."""
        ...

    def token(self, size_bytes: int = 32) -> str:
        """Make a secret with that much entropy, at least 16 bytes, URL-safe."""
        ...


class RandomIds:
    """Identities from the operating system's randomness."""

    def uid(self) -> str:
        """Make a version 4 UUID."""
        return str(uuid.uuid4())  # noqa: TID251 - the one place that makes them

    def request_id(self) -> str:
        """Make 24 hexadecimal digits."""
        return secrets.token_hex(REQUEST_ID_BYTES)

    def token(self, size_bytes: int = 32) -> str:
        """Make a secret in URL-safe base64."""
        return secrets.token_urlsafe(max(size_bytes, TOKEN_BYTES_MIN))


class SequentialIds:
    """Identities that count up from 1: the fake for tests, on the same contract."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def uid(self) -> str:
        """Make the next number a UUID."""
        return str(uuid.UUID(int=next(self._numbers), version=4))

    def request_id(self) -> str:
        """Make the next number 24 hexadecimal digits."""
        return f"{next(self._numbers):0{2 * REQUEST_ID_BYTES}x}"

    def token(self, size_bytes: int = 32) -> str:
        """Make the next number a token of the real one's length."""
        return f"{next(self._numbers):0{-(-max(size_bytes, TOKEN_BYTES_MIN) * 4 // 3)}d}"
