"""A store that counts what is asked of it, and how long that took: any `Store`, with metrics.

What the REST and gRPC APIs and the background tasks do to the store goes through here; what clients
of the etcd port do is counted there. It changes nothing, and costs about two microseconds a call.
Images pass uncounted: snapshots have figures of their own.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from decube.kit.clock import SystemClock
from decube.kit.errors import DecubeError
from decube.store.delegating import DelegatingStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from prometheus_client import CollectorRegistry

    from decube.kit.clock import Clock
    from decube.store.protocol import Store
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

Answer = TypeVar("Answer")

_OPERATIONS = (
    "range",
    "txn",
    "watch",
    "lease_grant",
    "lease_keep_alive",
    "lease_revoke",
    "lease_status",
    "leases",
    "compact",
    "status",
)
_BUCKETS_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
_OK = "ok"
_SYSTEM_CLOCK = SystemClock()


class MeteredStore(DelegatingStore):
    """A `Store` over another, with the figures of its use in `metrics`."""

    def __init__(
        self, store: Store, metrics: CollectorRegistry, *, clock: Clock = _SYSTEM_CLOCK
    ) -> None:
        super().__init__(store)
        self._monotonic_s = clock.monotonic_s
        self._operations = Counter(
            "decube_storage_operations",
            "What the APIs and background tasks asked of the store, by what came of it",
            ("operation", "result"),
            registry=metrics,
        )
        durations = Histogram(
            "decube_storage_operation_duration_seconds",
            "How long the store took to answer",
            ("operation",),
            registry=metrics,
            buckets=_BUCKETS_S,
        )
        self._done = {name: self._operations.labels(name, _OK) for name in _OPERATIONS}
        # A watch has no duration: it is open until its consumer goes.
        timed = [name for name in _OPERATIONS if name != "watch"]
        self._timers = {name: durations.labels(name) for name in timed}
        self._watches = Gauge(
            "decube_storage_watches", "Watches of the APIs and background tasks", registry=metrics
        )

    async def range(self, request: RangeRequest) -> RangeResult:
        """Read keys; see `Store.range`."""
        return await self._counted("range", self._store.range(request))

    async def txn(self, request: Txn) -> TxnResult:
        """Evaluate a transaction; see `Store.txn`."""
        return await self._counted("txn", self._store.txn(request))

    @asynccontextmanager
    async def watch(self, request: WatchRequest) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        """Open a watch; see `Store.watch`."""
        is_open = False
        try:
            async with self._store.watch(request) as batches:
                is_open = True
                self._done["watch"].inc()
                with self._watches.track_inprogress():
                    yield batches
        except DecubeError as error:
            if not is_open:
                self._operations.labels("watch", error.code).inc()
            raise

    async def lease_grant(self, ttl_s: int, lease_id: LeaseId | None = None) -> LeaseGrant:
        """Grant a lease; see `Store.lease_grant`."""
        return await self._counted("lease_grant", self._store.lease_grant(ttl_s, lease_id))

    async def lease_keep_alive(self, lease_id: LeaseId) -> int:
        """Renew a lease; see `Store.lease_keep_alive`."""
        return await self._counted("lease_keep_alive", self._store.lease_keep_alive(lease_id))

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        """End a lease; see `Store.lease_revoke`."""
        return await self._counted("lease_revoke", self._store.lease_revoke(lease_id))

    async def lease_status(self, lease_id: LeaseId, *, with_keys: bool = False) -> LeaseStatus:
        """Look at a lease; see `Store.lease_status`."""
        asked = self._store.lease_status(lease_id, with_keys=with_keys)
        return await self._counted("lease_status", asked)

    async def leases(self) -> tuple[LeaseId, ...]:
        """List all live leases; see `Store.leases`."""
        return await self._counted("leases", self._store.leases())

    async def compact(self, revision: Revision) -> None:
        """Forget history; see `Store.compact`."""
        await self._counted("compact", self._store.compact(revision))

    async def status(self) -> StoreStatus:
        """Tell what the store is; see `Store.status`."""
        return await self._counted("status", self._store.status())

    async def close(self) -> None:
        """Let go of the store beneath; see `Store.close`."""
        await self._store.close()

    async def _counted(self, operation: str, asked: Awaitable[Answer]) -> Answer:
        began_s = self._monotonic_s()
        try:
            answer = await asked
        except DecubeError as error:
            self._operations.labels(operation, error.code).inc()
            raise
        self._done[operation].inc()
        self._timers[operation].observe(self._monotonic_s() - began_s)
        return answer
