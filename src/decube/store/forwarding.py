"""The store of a node that may be a standby: what only the primary can do is done there.

A standby's own store has every revision that was replicated, and takes no writes. So serializable
reads and watches are answered here, and the rest is sent to the primary's etcd port. The role
changes while the node runs; a call belongs to the role that was there when it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from decube.kit.errors import Closed, NotLeader, Unavailable
from decube.store.delegating import DelegatingStore
from decube.store.types import NOT_SENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from decube.kit.errors import DecubeError
    from decube.store.protocol import Store
    from decube.store.types import (
        LeaseGrant,
        LeaseId,
        LeaseStatus,
        RangeRequest,
        RangeResult,
        Revision,
        Txn,
        TxnResult,
    )

T = TypeVar("T")


class ForwardingStore(DelegatingStore):
    """A `Store` over the node's own, which forwards while the node is a standby.

    `connect` makes a store of a primary's etcd address, without waiting for it. `look` has the
    node look for its primary, and wait a moment for one: before a call is refused for want of it.
    """

    def __init__(
        self, own: Store, connect: Callable[[str], Store], look: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(own)
        self._connect = connect
        self._look = look
        self._standby = False
        self._address = ""
        self._leader: str | None = None
        self._primary: Store | None = None

    async def lead(self) -> None:
        """Do everything here from now on."""
        self._standby = False
        await self._leave()

    async def follow(self, primary: str, leader: str = "") -> None:
        """Forward to the etcd address of a primary; "" while there is none in reach.

        Refusals name `leader`, the REST address of the primary that was known last.
        """
        self._standby = True
        self._leader = leader or None
        if primary == self._address:
            return
        left, self._address = self._primary, primary
        self._primary = self._connect(primary) if primary else None
        if left is not None:
            await left.close()

    async def range(self, request: RangeRequest) -> RangeResult:
        """Read keys, here when that is enough; see `Store.range`. Raises `NotLeader`."""
        if not self._standby or request.serializable:
            return await self._store.range(request)
        return await self._told((await self._reach()).range(request), changes=False)

    async def txn(self, request: Txn) -> TxnResult:
        """Evaluate a transaction; see `Store.txn`. Raises `NotLeader`."""
        if not self._standby:
            return await self._store.txn(request)
        return await self._told((await self._reach()).txn(request), changes=True)

    async def lease_grant(self, ttl_s: int, lease_id: LeaseId | None = None) -> LeaseGrant:
        """Grant a lease; see `Store.lease_grant`. Raises `NotLeader`."""
        return await self._told((await self._reach()).lease_grant(ttl_s, lease_id), changes=True)

    async def lease_keep_alive(self, lease_id: LeaseId) -> int:
        """Renew a lease; see `Store.lease_keep_alive`. Raises `NotLeader`."""
        return await self._told((await self._reach()).lease_keep_alive(lease_id), changes=True)

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        """End a lease; see `Store.lease_revoke`. Raises `NotLeader`."""
        return await self._told((await self._reach()).lease_revoke(lease_id), changes=True)

    async def lease_status(self, lease_id: LeaseId, *, with_keys: bool = False) -> LeaseStatus:
        """Look at a lease; see `Store.lease_status`. Raises `NotLeader`."""
        status = (await self._reach()).lease_status(lease_id, with_keys=with_keys)
        return await self._told(status, changes=False)

    async def leases(self) -> tuple[LeaseId, ...]:
        """List all live leases; see `Store.leases`. Raises `NotLeader`."""
        return await self._told((await self._reach()).leases(), changes=False)

    async def compact(self, revision: Revision) -> None:
        """Forget history; see `Store.compact`. Raises `NotLeader`."""
        await self._told((await self._reach()).compact(revision), changes=True)

    async def close(self) -> None:
        """Let go of the primary; the node's own store belongs to the node."""
        await self._leave()

    async def _reach(self) -> Store:
        """Return the store that may write."""
        if self._standby and self._primary is None:
            await self._look()
        if not self._standby:
            return self._store
        if self._primary is None:
            raise NotLeader(
                "this node is a standby, and there is no primary in reach", leader=self._leader
            )
        return self._primary

    async def _told(self, answer: Awaitable[T], *, changes: bool) -> T:
        """Await a call. Whoever repeats one that changes something must know if it may have."""
        if not self._standby:
            return await answer
        leader = self._leader
        try:
            return await answer
        except (Unavailable, Closed) as error:
            if changes and error.details.get("reason") != NOT_SENT:
                raise Unavailable(
                    "the primary of this standby did not answer, and may have done what was asked: "
                    + error.message
                ) from error
            # Closed: another primary was found meanwhile, or none is in reach any more.
            raise _out_of_reach(error, leader) from error

    async def _leave(self) -> None:
        primary, self._primary, self._address = self._primary, None, ""
        if primary is not None:
            await primary.close()


def _out_of_reach(error: DecubeError, leader: str | None) -> NotLeader:
    return NotLeader(
        f"this node is a standby, and its primary cannot be reached: {error.message}",
        leader=leader,
    )
