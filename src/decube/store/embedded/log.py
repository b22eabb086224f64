"""What the log of a store that does not run, or a side file of it, says was done.

Blocks, and needs no event loop: it is what `decube store dump-log` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from decube import _native
from decube.store.embedded.codec import decode_key_value
from decube.store.embedded.errors import translate
from decube.store.types import KeyValue, LeaseId, Revision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Change(msgspec.Struct, frozen=True):
    """One key's part in a write; of a deleted key there are the key and the revision."""

    kv: KeyValue
    deleted: bool


class Write(msgspec.Struct, frozen=True):
    """All changes of one revision, in their order."""

    changes: tuple[Change, ...]


class LeaseGrant(msgspec.Struct, frozen=True):
    """A lease begins; it runs out at `expires_at_s` (since the epoch) if nobody renews it."""

    lease: LeaseId
    ttl_s: int
    expires_at_s: float


class LeaseKeepAlive(msgspec.Struct, frozen=True):
    """A lease got its time back."""

    lease: LeaseId
    expires_at_s: float


class LeaseEnd(msgspec.Struct, frozen=True):
    """A lease was revoked or ran out, and its keys were deleted."""

    lease: LeaseId


class Compaction(msgspec.Struct, frozen=True):
    """History before this revision was forgotten."""

    compact_revision: Revision


class AlarmChange(msgspec.Struct, frozen=True):
    """An alarm was raised, or ended."""

    member: int
    alarm: Literal["no_space", "corrupt"]
    raised: bool


Logged = Write | LeaseGrant | LeaseKeepAlive | LeaseEnd | Compaction | AlarmChange


class LogEntry(msgspec.Struct, frozen=True):
    """One entry: its place in the log, when it was written, the revision after it, the change."""

    sequence: int
    term: int
    written_at_s: float
    revision: Revision
    logged: Logged


def read_log(place: Path, take: Callable[[LogEntry], None]) -> None:
    """Hand out every entry that the log in a directory has kept, or that is in a side file.

    Raises `Unavailable` (`reason` `locked`) while the store of a log runs, and `Corrupt` for a
    damaged file, after the entries before the damage.
    """

    def take_all(entries: list[_native._LogEntry]) -> None:
        for sequence, term, written_at_s, revision, change in entries:
            logged = _decode(change)
            take(LogEntry(sequence, term, written_at_s, Revision(revision), logged))

    try:
        _native.read_log(place, take_all)
    except _native.StoreError as error:
        raise translate(error) from None


def _decode(change: _native._Logged) -> Logged:
    match change:
        case ("write", records):
            return Write(tuple(Change(decode_key_value(kv), deleted) for kv, deleted in records))
        case ("lease_grant", lease, ttl_s, expires_at_s):
            return LeaseGrant(LeaseId(lease), ttl_s, expires_at_s)
        case ("lease_keep_alive", lease, expires_at_s):
            return LeaseKeepAlive(LeaseId(lease), expires_at_s)
        case ("lease_end", lease):
            return LeaseEnd(LeaseId(lease))
        case ("compact", revision):
            return Compaction(Revision(revision))
        case ("alarm", member, alarm, raised):
            return AlarmChange(member, alarm, raised)
