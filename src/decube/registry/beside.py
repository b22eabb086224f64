"""What a write of an object does beside it, in the same transaction."""

from __future__ import annotations

import msgspec

from decube.store.types import NO_LEASE, Compare, LeaseId, Operation


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """The store lease that the object's key is attached to, and what is done to keys of others.

    Without `lease` the key stays attached to the one it has. If `compares` do not hold nothing is
    written. For example, an object that holds a name as long as its lease lasts:

        Beside(lease=lease, compares=(the name's key is absent,), writes=(Put(key, id, lease),))
    """

    lease: LeaseId = NO_LEASE
    compares: tuple[Compare, ...] = ()
    writes: tuple[Operation, ...] = ()


NOTHING = Beside()
