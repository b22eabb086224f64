"""What is asked of a store and what it answers: frozen, typed, the same for every backend.

Revisions and leases are the store's own numbers (etcd's int64). Keys and values are bytes.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import NewType

import msgspec

from decube.kit.errors import NotFound

Revision = NewType("Revision", int)
LeaseId = NewType("LeaseId", int)

NO_LEASE = LeaseId(0)
LATEST = Revision(0)

NOT_SENT = "not_sent"
"""The `reason` of an `Unavailable` or `Closed` whose call never left: nothing was executed."""


class CancelledTooLate(asyncio.CancelledError):
    """The caller was cancelled, but what it waits for could not be taken back, and was done."""

    def __init__(self, result: object) -> None:
        super().__init__("cancelled too late: it was done")
        self.result = result


def lease_text(lease: LeaseId) -> str:
    """Write a lease's identity as etcdctl does: 16 hexadecimal digits."""
    return f"{lease & (1 << 64) - 1:016x}"


def lease_not_found(lease: LeaseId) -> NotFound:
    """Return the error for a lease that does not live."""
    return NotFound(f"lease {lease_text(lease)} is not there, or has expired")


class KeyRange(msgspec.Struct, frozen=True):
    r"""Which keys, in etcd's notation.

    One key (`end` empty), the keys from `key` up to but not including `end`, or, with `end`
    `b"\0"`, all keys from `key` on.
    """

    key: bytes
    end: bytes = b""

    @classmethod
    def prefix(cls, prefix: bytes) -> KeyRange:
        """All keys that start with `prefix`; every key if it is empty."""
        if not prefix:
            return cls(b"\0", b"\0")
        bare = prefix.rstrip(b"\xff")
        if not bare:
            return cls(prefix, b"\0")
        return cls(prefix, bare[:-1] + bytes([bare[-1] + 1]))


class KeyValue(msgspec.Struct, frozen=True):
    """One version of a key. In a delete event only `key` and `mod_revision` are set."""

    key: bytes
    value: bytes
    create_revision: Revision
    mod_revision: Revision
    version: int
    lease: LeaseId = NO_LEASE


class RangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Reads keys at one revision (`LATEST`: the current one). `limit` 0 means no limit.

    With `serializable` the node or member that is asked answers from what it has, which may be
    older than what another has acknowledged.
    """

    range: KeyRange
    limit: int = 0
    revision: Revision = LATEST
    keys_only: bool = False
    count_only: bool = False
    serializable: bool = False


class RangeResult(msgspec.Struct, frozen=True):
    """`revision` is the store's when it was read; `count` that of the range, whatever the limit."""

    revision: Revision
    kvs: tuple[KeyValue, ...]
    count: int
    more: bool


class Put(msgspec.Struct, frozen=True):
    """Writes a key and attaches `lease` (`NO_LEASE` detaches)."""

    key: bytes
    value: bytes
    lease: LeaseId = NO_LEASE
    prev_kv: bool = False


class Delete(msgspec.Struct, frozen=True):
    """Deletes the keys of a range in one revision."""

    range: KeyRange
    prev_kv: bool = False


class CompareTarget(Enum):
    """What a compare looks at; on an absent key it is 0, and VALUE never holds."""

    VERSION = "version"
    CREATE_REVISION = "create_revision"
    MOD_REVISION = "mod_revision"
    VALUE = "value"
    LEASE = "lease"


class CompareOperator(Enum):
    """How a key's number or value is held against the given one."""

    EQUAL = "="
    GREATER = ">"
    LESS = "<"
    NOT_EQUAL = "!="


class Compare(msgspec.Struct, frozen=True):
    """One condition; on a range every key must meet it. `operand` is bytes for VALUE, else int."""

    range: KeyRange
    target: CompareTarget
    operator: CompareOperator
    operand: int | bytes


class Txn(msgspec.Struct, frozen=True, kw_only=True):
    """Compares that must all hold, and the operations for either outcome, evaluated atomically."""

    compares: tuple[Compare, ...] = ()
    success: tuple[Operation, ...] = ()
    failure: tuple[Operation, ...] = ()


Operation = RangeRequest | Put | Delete | Txn


class PutResult(msgspec.Struct, frozen=True):
    """`previous` only if it was asked for and there was one."""

    revision: Revision
    previous: KeyValue | None = None


class DeleteResult(msgspec.Struct, frozen=True):
    """`previous` in key order, only if it was asked for."""

    revision: Revision
    deleted: int
    previous: tuple[KeyValue, ...] = ()


class TxnResult(msgspec.Struct, frozen=True):
    """`revision` is that of its writes, or the current one when it wrote nothing."""

    revision: Revision
    succeeded: bool
    results: tuple[OperationResult, ...]


OperationResult = RangeResult | PutResult | DeleteResult | TxnResult


class WatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Wants every change in `range` from `start_revision` on (0: from the next one on).

    With `progress` an idle watch yields a batch without events now and then, so that its consumer
    knows how far it has seen.
    """

    range: KeyRange
    start_revision: Revision = LATEST
    prev_kv: bool = False
    progress: bool = False


class Event(msgspec.Struct, frozen=True):
    """One change. A put has the new version; a delete only key and revision."""

    kv: KeyValue
    deleted: bool = False
    previous: KeyValue | None = None


class WatchBatch(msgspec.Struct, frozen=True):
    """Whole revisions of events, oldest first; without events it is progress.

    Everything up to and including `revision` has been handed out: resume from `revision + 1`.
    """

    revision: Revision
    events: tuple[Event, ...] = ()


class LeaseGrant(msgspec.Struct, frozen=True):
    """A granted lease and its TTL after raising it to the store's minimum."""

    id: LeaseId
    ttl_s: int


class LeaseStatus(msgspec.Struct, frozen=True):
    """A lease as it stands; `keys` only if asked for."""

    id: LeaseId
    remaining_ttl_s: int
    granted_ttl_s: int
    keys: tuple[bytes, ...] = ()


class Alarm(msgspec.Struct, frozen=True):
    """What a member raised until somebody ends it: `NOSPACE` (no writes) or `CORRUPT`."""

    member_id: int
    name: str


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a store is and how big. `backend` is `embedded-log`, `embedded-memory` or `etcd`."""

    backend: str
    version: str
    revision: Revision
    db_size_bytes: int
    db_size_in_use_bytes: int
    cluster_id: int
    member_id: int
    term: int = 0
