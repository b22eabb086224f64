"""How long leases run: begins, renews, looks at and ends the store leases behind them.

A store lease has its TTL for good. A renewal with another TTL therefore moves the lease's keys to a
new store lease, in one transaction: the id and the fencing token stay, as both belong to the key.
Whoever acts on a store lease may find that the object has left it (`Moved`), and reads again.

Nothing stays behind of a call that ends between granting a store lease and attaching the object: a
store lease without keys runs out.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from decube.kit.errors import AlreadyExists, Conflict, DecubeError, NotFound
from decube.model.lease import Lease, LeaseView, view_of
from decube.model.metadata import NO_STORE_LEASE
from decube.model.names import NAMESPACE_DEFAULT, Name
from decube.registry.beside import NOTHING
from decube.services.leases.names import claim, move, name_key
from decube.store.types import LeaseId, lease_text

if TYPE_CHECKING:
    from datetime import datetime

    from decube.kit.clock import Clock
    from decube.model.lease import LeaseSpec
    from decube.registry.beside import Beside
    from decube.registry.registry import Registry
    from decube.store.protocol import Store

NAMESPACE = NAMESPACE_DEFAULT
"""Of all leases: the flat API has none for them."""


class Moved(Exception):
    """The object, or the name it wants, is not as it was read: read it again."""


class Tenures:
    """The time of the leases of one store."""

    def __init__(self, store: Store, registry: Registry[Lease], clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock

    async def read(self, lease_id: str) -> Lease:
        """Read the object, whose store lease may have run out. Raises `NotFound` and `Corrupt`."""
        try:
            return await self._registry.get(NAMESPACE, lease_id)
        except NotFound as error:
            raise _not_found(lease_id) from error

    async def look(self, lease: Lease) -> LeaseView:
        """Ask the store how long a lease still runs. Raises `NotFound` and `Moved`."""
        now = self._clock.now()
        try:
            status = await self._store.lease_status(_store_lease(lease))
        except NotFound as error:
            raise await self._why_gone(lease) from error
        # The store tells whole seconds; what is left is up to one more.
        left_s = min(status.remaining_ttl_s + 1, status.granted_ttl_s)
        return _view(lease, now + timedelta(seconds=left_s))

    async def begin(self, wanted: Lease) -> LeaseView:
        """Store a lease under a new store lease. Raises `Moved` when somebody has its name."""
        asked = self._clock.now()
        granted = await self._store.lease_grant(wanted.spec.ttl_seconds)
        lease_id = f"lease-{lease_text(granted.id)}"
        draft = Lease(
            msgspec.structs.replace(wanted.metadata, name=Name(lease_id)),
            # A store whose minimum is higher has raised it.
            msgspec.structs.replace(wanted.spec, ttl_seconds=granted.ttl_s),
        )
        beside = claim(wanted.spec.name, lease_id, granted.id)
        try:
            lease = await self._registry.create(draft, beside=beside)
        except (AlreadyExists, Conflict) as error:
            await self._give_back(granted.id)
            raise Moved from error
        except DecubeError:
            await self._give_back(granted.id)
            raise
        return _view(lease, asked + timedelta(seconds=granted.ttl_s))

    async def extend(self, lease: Lease, ttl_s: int, metadata: dict[str, str]) -> LeaseView:
        """Renew a lease, and let it have this TTL and metadata.

        Raises `NotFound` when it has ended, `Moved`, and `Conflict` when keys of others keep it
        from having another TTL.
        """
        asked = self._clock.now()
        try:
            # Even if it moves: one that has ended must not live again.
            await self._store.lease_keep_alive(_store_lease(lease))
        except NotFound as error:
            raise await self._why_gone(lease) from error
        if ttl_s != lease.spec.ttl_seconds:
            lease = await self._move(lease, ttl_s, metadata)
        elif metadata != lease.metadata.annotations:
            lease = await self._rewrite(lease, lease.spec, metadata)
        return _view(lease, asked + timedelta(seconds=lease.spec.ttl_seconds))

    async def end(self, lease: Lease) -> None:
        """End a lease and delete all keys that are attached to it. Raises `Moved`."""
        with contextlib.suppress(NotFound):
            await self._store.lease_revoke(_store_lease(lease))
        with contextlib.suppress(NotFound):
            now = await self.read(lease.metadata.name)
            if now.metadata.store_lease not in {lease.metadata.store_lease, NO_STORE_LEASE}:
                raise Moved
            # Somebody took its key off the store lease, by hand.
            await self._registry.delete(NAMESPACE, lease.metadata.name)

    async def _move(self, lease: Lease, ttl_s: int, metadata: dict[str, str]) -> Lease:
        old = _store_lease(lease)
        await self._refuse_if_shared(lease)
        granted = await self._store.lease_grant(ttl_s)
        spec = msgspec.structs.replace(lease.spec, ttl_seconds=granted.ttl_s)
        beside = move(lease.spec.name, lease.metadata.name, granted.id)
        try:
            moved = await self._rewrite(lease, spec, metadata, beside)
        except (DecubeError, Moved):
            await self._give_back(granted.id)
            raise
        await self._give_back(old)
        return moved

    async def _refuse_if_shared(self, lease: Lease) -> None:
        """Raise `Conflict` if others attached keys, which would stay with the old store lease."""
        status = await self._store.lease_status(_store_lease(lease), with_keys=True)
        own = {self._registry.key(NAMESPACE, lease.metadata.name), name_key(lease.spec.name)}
        if others := len(set(status.keys) - own):
            raise Conflict(
                f"the TTL of {lease.metadata.name} cannot change: {others} other keys are attached "
                "to it; renew it without ttl_seconds, or create another lease"
            )

    async def _rewrite(
        self, lease: Lease, spec: LeaseSpec, metadata: dict[str, str], beside: Beside = NOTHING
    ) -> Lease:
        def change(current: Lease) -> Lease:
            meta = msgspec.structs.replace(current.metadata, annotations=metadata)
            return Lease(meta, spec)

        expected = lease.metadata.resource_version
        try:
            return await self._registry.update(
                NAMESPACE, lease.metadata.name, change, expected=expected, beside=beside
            )
        except Conflict as error:
            raise Moved from error

    async def _give_back(self, store_lease: LeaseId) -> None:
        """End a store lease if nothing is attached to it; if that fails it runs out by itself."""
        with contextlib.suppress(DecubeError):
            status = await self._store.lease_status(store_lease, with_keys=True)
            if not status.keys:
                await self._store.lease_revoke(store_lease)

    async def _why_gone(self, lease: Lease) -> Exception:
        """Tell why a lease's store lease is not there: it has ended, or the object has left it."""
        now = await self.read(lease.metadata.name)
        if now.metadata.store_lease == lease.metadata.store_lease:
            return _not_found(lease.metadata.name)
        return Moved()


def _store_lease(lease: Lease) -> LeaseId:
    return LeaseId(lease.metadata.store_lease)


def _view(lease: Lease, expires_at: datetime) -> LeaseView:
    return view_of(lease, expires_at - timedelta(seconds=lease.spec.ttl_seconds), expires_at)


def _not_found(lease_id: str) -> NotFound:
    return NotFound(f"lease {lease_id} not found: it has ended, or there never was one")
