"""Continue tokens: where the next page of a list starts, opaque to its holder.

A token pins the revision of the first page and names the key after which to go on. It carries a
digest of what was listed, so that it is refused with another namespace or selector, and a checksum,
so that a damaged one is refused rather than read as something else. It is no secret and no
permission: whoever forges one reads only what the list it comes with would have shown anyway.

    base64url( checksum[8] + json{"v": 1, "r": revision, "k": last key, "l": digest} )
"""

from __future__ import annotations

import base64
import binascii
from hashlib import blake2b

import msgspec

from decube.kit.errors import Invalid
from decube.model.metadata import ResourceVersion

FIELD = "continue"
TOKEN_LENGTH_MAX = 1024

_CHECKSUM_BYTES = 8


class _Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    r: int
    k: str
    l: str  # noqa: E741 - one letter each keeps the token short


class Position(msgspec.Struct, frozen=True):
    """Go on after `last_key` (without the list's prefix), at this revision."""

    resource_version: ResourceVersion
    last_key: str


def listing_digest(*parts: str) -> str:
    """Condense what is listed (resource, namespace, selector) for comparison."""
    digest = blake2b(digest_size=_CHECKSUM_BYTES)
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def write_token(position: Position, listing: str) -> str:
    """Make the token for a position in a listing."""
    payload = msgspec.json.encode(
        _Payload(1, position.resource_version, position.last_key, listing)
    )
    return base64.urlsafe_b64encode(_checksum(payload) + payload).decode().rstrip("=")


def read_token(token: str, listing: str) -> Position:
    """Read a token; raise `Invalid` when it is damaged or of another listing."""
    if len(token) > TOKEN_LENGTH_MAX:
        raise Invalid(f"{FIELD} is not a token of this API: too long", field=FIELD)
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        checksum, payload = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        if checksum != _checksum(payload):
            raise Invalid(
                f"{FIELD} is not a token of this API, or damaged: "
                "pass the one of the previous page unchanged",
                field=FIELD,
            )
        read = msgspec.json.decode(payload, type=_Payload)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Invalid(f"{FIELD} is not a token of this API", field=FIELD) from error
    if read.v != 1 or read.r <= 0:
        raise Invalid(f"{FIELD} is of another version of this API: list anew", field=FIELD)
    if read.l != listing:
        raise Invalid(
            f"{FIELD} belongs to another list: pass it with the parameters it came with",
            field=FIELD,
        )
    return Position(ResourceVersion(read.r), read.k)


def _checksum(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=_CHECKSUM_BYTES, person=b"decube-continue").digest()
