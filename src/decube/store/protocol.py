"""The contract of a store. `tests/conformance/store` holds every backend to it.

Semantics are etcd v3's: one global revision, atomic multi-key transactions, ordered resumable
watches, leases. Every call may raise `Unavailable` (retry; a write's fate may be unknown) and
`Closed`; what else a call raises stands with it. Cancelling a call never leaves a transaction
half-applied: a cancelled write happens wholly or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

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


class StoreImage(Protocol):
    """The bytes of an image, in pieces of about 1 MiB (`docs/store-format.md`, section 4).

    Iterating raises `Unavailable` when the image is lost (nobody read from it for a minute, the
    store was restored) and `Compacted` when its revision is: start again with a new one.
    """

    @property
    def revision(self) -> Revision:
        """The revision that it is of."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...


class Store(Protocol):
    """A durable, watchable, transactional map from bytes to bytes."""

    async def range(self, request: RangeRequest) -> RangeResult:
        """Read keys. Linearizable when the revision is `LATEST`.

        Raises `Compacted`, and `Invalid` for a future revision or an empty key.
        """
        ...

    async def txn(self, request: Txn) -> TxnResult:
        """Evaluate a transaction atomically; durable when it returns.

        Raises `Invalid` (malformed: nothing was changed), `NotFound` (a put names an unknown
        lease), `TooLarge`, `Exhausted` (quota, overload) and `Compacted` (a read inside it).
        """
        ...

    def watch(
        self, request: WatchRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchBatch]]:
        """Open a watch: `async with store.watch(request) as batches: async for batch in batches`.

        Events come in order, each exactly once, whole revisions together, across reconnects.
        Entering the context waits until the store has accepted the watch, so that a change made
        afterwards is seen. Iterating raises `Compacted` when the history wanted is gone.
        """
        ...

    async def lease_grant(self, ttl_s: int, lease_id: LeaseId | None = None) -> LeaseGrant:
        """Grant a lease; without `lease_id` the store chooses.

        Raises `AlreadyExists`, and `Invalid` for a TTL above `LEASE_TTL_S_MAX`.
        """
        ...

    async def lease_keep_alive(self, lease_id: LeaseId) -> int:
        """Set the lease back to its TTL and return that, in seconds. Raises `NotFound`."""
        ...

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        """End a lease and delete its keys in one revision. Raises `NotFound`."""
        ...

    async def lease_status(self, lease_id: LeaseId, *, with_keys: bool = False) -> LeaseStatus:
        """Tell a lease's remaining time, and its keys on request. Raises `NotFound`."""
        ...

    async def leases(self) -> tuple[LeaseId, ...]:
        """List all live leases."""
        ...

    async def compact(self, revision: Revision) -> None:
        """Forget the history before `revision`. Raises `Compacted`, `Invalid` for a future one."""
        ...

    def image(self, *, history: bool = False) -> AbstractAsyncContextManager[StoreImage]:
        """Open an image: `async with store.image() as image: async for piece in image`.

        It is of one revision, while writes go on, and holds leases and live keys; with `history`
        all that is not compacted, which only the embedded store can (`Unimplemented`).
        """
        ...

    async def status(self) -> StoreStatus:
        """Tell what the store is and how big."""
        ...

    async def close(self) -> None:
        """Let go of the store; calls under way end with `Closed`. Closing twice is fine."""
        ...
