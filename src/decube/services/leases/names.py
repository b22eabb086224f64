"""The names of leases: a lease that was given one has it alone.

A name is a key, written in the transaction that creates the lease and attached to the same store
lease, so that both come and go together:

    /decube/leases/default/lease-694d9b2f6a1c3e07   the lease
    /decube/lease-names/leader                      lease-694d9b2f6a1c3e07

Both have the same create revision, so a transaction that compares the name's with the fencing token
happens only while that lease has the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.kit.errors import NotFound
from decube.registry.beside import Beside
from decube.registry.kind import ROOT
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    KeyRange,
    KeyValue,
    LeaseId,
    Put,
    RangeRequest,
    Txn,
)

if TYPE_CHECKING:
    from decube.store.protocol import Store

NAME_LOST = "name_lost"
"""The `reason` in the details of who hears so."""

_ABSENT = 0


def name_key(name: str) -> bytes:
    """Return the key of a name."""
    return f"{ROOT}lease-names/{name}".encode()


async def read_name(store: Store, name: str) -> KeyValue | None:
    """Read who has a name: the row's value is the lease's id."""
    result = await store.range(RangeRequest(range=KeyRange(name_key(name))))
    return result.kvs[0] if result.kvs else None


async def require_name(store: Store, name: str, lease_id: str) -> None:
    """Raise `NotFound` unless a lease has its name; "" is no name.

    Somebody may have deleted the key by hand, and another have the name by now: whoever renews
    would take himself for the only holder.
    """
    if not name:
        return
    seen = await read_name(store, name)
    if seen is None or seen.value != lease_id.encode():
        raise NotFound(
            f"lease {lease_id} has lost the name {name}, whose key was deleted: it will run out",
            reason=NAME_LOST,
        )


async def free_name(store: Store, seen: KeyValue) -> None:
    """Delete a name whose lease has ended, if it is still as it was seen.

    The next one who has it creates the key anew: its create revision is the fencing token.
    """
    key = KeyRange(seen.key)
    as_seen = Compare(key, CompareTarget.MOD_REVISION, CompareOperator.EQUAL, seen.mod_revision)
    await store.txn(Txn(compares=(as_seen,), success=(Delete(key),)))


def claim(name: str, lease_id: str, store_lease: LeaseId) -> Beside:
    """Take a name that nobody has along with the creation of its lease; "" is no name."""
    if not name:
        return Beside(lease=store_lease)
    key = name_key(name)
    is_free = Compare(KeyRange(key), CompareTarget.CREATE_REVISION, CompareOperator.EQUAL, _ABSENT)
    put = Put(key, lease_id.encode(), store_lease)
    return Beside(lease=store_lease, compares=(is_free,), writes=(put,))


def move(name: str, lease_id: str, store_lease: LeaseId) -> Beside:
    """Attach a lease, and its name, to another store lease, if it still has the name."""
    if not name:
        return Beside(lease=store_lease)
    key, value = name_key(name), lease_id.encode()
    is_own = Compare(KeyRange(key), CompareTarget.VALUE, CompareOperator.EQUAL, value)
    return Beside(lease=store_lease, compares=(is_own,), writes=(Put(key, value, store_lease),))
