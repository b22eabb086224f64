"""A store that does everything through another one: the base of those that change a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from decube.store.protocol import Store, StoreImage
    from decube.store.types import (
        LeaseGrant,
        LeaseId,
        LeaseStatus,
        RangeRequest,
        RangeResult,
        Revision,
        StoreStatus,
        Txn,
        TxnResult,
        WatchBatch,
        WatchRequest,
    )


class DelegatingStore:
    """A `Store` over a store, which belongs to somebody else: closing this one does nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def range(self, request: RangeRequest) -> RangeResult:
        """Read keys; see `Store.range`."""
        return await self._store.range(request)

    async def txn(self, request: Txn) -> TxnResult:
        """Evaluate a transaction; see `Store.txn`."""
        return await self._store.txn(request)

    def watch(
        self, request: WatchRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchBatch]]:
        """Open a watch; see `Store.watch`."""
        return self._store.watch(request)

    async def lease_grant(self, ttl_s: int, lease_id: LeaseId | None = None) -> LeaseGrant:
        """Grant a lease; see `Store.lease_grant`."""
        return await self._store.lease_grant(ttl_s, lease_id)

    async def lease_keep_alive(self, lease_id: LeaseId) -> int:
        """Renew a lease; see `Store.lease_keep_alive`."""
        return await self._store.lease_keep_alive(lease_id)

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        """End a lease; see `Store.lease_revoke`."""
        return await self._store.lease_revoke(lease_id)

    async def lease_status(self, lease_id: LeaseId, *, with_keys: bool = False) -> LeaseStatus:
        """Look at a lease; see `Store.lease_status`."""
        return await self._store.lease_status(lease_id, with_keys=with_keys)

    async def leases(self) -> tuple[LeaseId, ...]:
        """List all live leases; see `Store.leases`."""
        return await self._store.leases()

    async def compact(self, revision: Revision) -> None:
        """Forget history; see `Store.compact`."""
        await self._store.compact(revision)

    def image(self, *, history: bool = False) -> AbstractAsyncContextManager[StoreImage]:
        """Open an image; see `Store.image`."""
        return self._store.image(history=history)

    async def status(self) -> StoreStatus:
        """Tell what the store is; see `Store.status`."""
        return await self._store.status()

    async def close(self) -> None:
        """Do nothing: the store beneath belongs to the node."""
