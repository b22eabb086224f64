"""The names of leases: a lease that was given one has it alone.

A name is a key, written in the transaction that creates the lease and attached to the same store
lease, so that both come and go together:

    /decube/leases/default/lease-694d9b2f6a1c3e07   the lease
    /decube/lease-names/leader                      lease-694d9b2f6a1c3e07

Whoever creates a lease of that name compares the key with what it was when nobody living had it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.registry.beside import Beside
from decube.registry.kind import ROOT
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    KeyRange,
    KeyValue,
    LeaseId,
    Put,
    RangeRequest,
    Txn,
)

if TYPE_CHECKING:
    from decube.store.protocol import Store

_ABSENT = 0


def name_key(name: str) -> bytes:
    """Return the key of a name."""
    return f"{ROOT}lease-names/{name}".encode()


async def read_name(store: Store, name: str) -> KeyValue | None:
    """Read who has a name: the row's value is the lease's id."""
    result = await store.range(RangeRequest(range=KeyRange(name_key(name))))
    return result.kvs[0] if result.kvs else None


def claim(name: str, seen: KeyValue | None, lease_id: str, store_lease: LeaseId) -> Beside:
    """Take a name, if it is still as it was seen, along with the creation of its lease."""
    if not name:
        return Beside(lease=store_lease)
    key = name_key(name)
    version = _ABSENT if seen is None else seen.mod_revision
    as_seen = Compare(
        KeyRange(key), CompareTarget.MOD_REVISION, CompareOperator.EQUAL, int(version)
    )
    put = Put(key, lease_id.encode(), store_lease)
    return Beside(lease=store_lease, compares=(as_seen,), writes=(put,))


def move(name: str, lease_id: str, store_lease: LeaseId) -> Beside:
    """Attach a lease, and the name if it has it, to another store lease."""
    if not name:
        return Beside(lease=store_lease)
    key, value = name_key(name), lease_id.encode()
    is_own = Compare(KeyRange(key), CompareTarget.VALUE, CompareOperator.EQUAL, value)
    put = Put(key, value, store_lease)
    # Somebody may have deleted the key by hand; that must not keep the lease from being renewed.
    return Beside(lease=store_lease, writes=(Txn(compares=(is_own,), success=(put,)),))
