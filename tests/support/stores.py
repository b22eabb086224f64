"""The backends of the contract suite, each behind one `Store`, and short words for using it."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from tests.support.waiting import WAIT_S_MAX

from decube.store.embedded import EmbeddedOptions, EmbeddedStore, EtcdListenerOptions
from decube.store.metered import MeteredStore
from decube.store.remote import RemoteOptions, RemoteStore
from decube.store.types import (
    LATEST,
    NO_LEASE,
    Delete,
    Event,
    KeyRange,
    KeyValue,
    LeaseId,
    Operation,
    Put,
    RangeRequest,
    RangeResult,
    Revision,
    Txn,
    TxnResult,
    WatchBatch,
    WatchRequest,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from decube.store.protocol import Store

BACKENDS = ("embedded-memory", "embedded-log", "remote-decube", "remote-etcd")
PROGRESS_INTERVAL_S = 0.1


@asynccontextmanager
async def opened(backend: str, directory: Path, etcd_address: str | None) -> AsyncIterator[Store]:
    """Open a store on a backend of the suite; close it, and what serves it, at the end."""
    if backend == "remote-etcd":
        assert etcd_address is not None
        async with remote(etcd_address) as store:
            yield store
    elif backend == "remote-decube":
        async with embedded() as served, serving(served) as address, remote(address) as store:
            yield store
    else:
        async with embedded(directory if backend == "embedded-log" else None) as store:
            # As a node has it, so that both are held to the contract.
            metered = MeteredStore(store, CollectorRegistry())
            yield metered if backend == "embedded-memory" else store


@asynccontextmanager
async def embedded(log_dir: Path | None = None) -> AsyncIterator[EmbeddedStore]:
    """Open an embedded store: durable with a directory, else in memory."""
    store = await EmbeddedStore.open(
        EmbeddedOptions(log_dir=log_dir, watch_progress_interval_s=PROGRESS_INTERVAL_S)
    )
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def serving(store: EmbeddedStore, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serve etcd's API on a store; the address it got."""
    listener = await store.serve_etcd(EtcdListenerOptions(address=address))
    try:
        yield listener.address
    finally:
        await listener.stop()


@asynccontextmanager
async def remote(*addresses: str, request_timeout_s: float = WAIT_S_MAX) -> AsyncIterator[Store]:
    """Connect to etcd endpoints."""
    store = await RemoteStore.connect(
        RemoteOptions(
            endpoints=addresses,
            request_timeout_s=request_timeout_s,
            watch_progress_interval_s=PROGRESS_INTERVAL_S,
        )
    )
    try:
        yield store
    finally:
        await store.close()


_scenes = itertools.count(1)


@dataclass
class Scene:
    """A store and the part of it that belongs to one test."""

    store: Store
    backend: str
    prefix: bytes = field(default_factory=lambda: b"scene-%d/" % next(_scenes))

    def key(self, name: str) -> bytes:
        return self.prefix + name.encode()

    @property
    def all(self) -> KeyRange:
        return KeyRange.prefix(self.prefix)

    async def do(self, *operations: Operation) -> TxnResult:
        return await self.store.txn(Txn(success=operations))

    async def put(self, name: str, value: bytes = b"v", lease: LeaseId = NO_LEASE) -> Revision:
        return (await self.do(Put(self.key(name), value, lease))).revision

    async def delete(self, name: str) -> Revision:
        return (await self.do(Delete(KeyRange(self.key(name))))).revision

    async def get(self, name: str, revision: Revision = LATEST) -> KeyValue | None:
        request = RangeRequest(range=KeyRange(self.key(name)), revision=revision)
        kvs = (await self.store.range(request)).kvs
        return kvs[0] if kvs else None

    async def list(self, revision: Revision = LATEST, limit: int = 0) -> RangeResult:
        request = RangeRequest(range=self.all, revision=revision, limit=limit)
        return await self.store.range(request)

    def watch(
        self,
        start_revision: int = 0,
        *,
        prev_kv: bool = False,
        progress: bool = False,
        keys: KeyRange | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchBatch]]:
        return self.store.watch(
            WatchRequest(
                range=keys or self.all,
                start_revision=Revision(start_revision),
                prev_kv=prev_kv,
                progress=progress,
            )
        )

    def told(self, events: list[Event]) -> list[str]:
        """Name events in short: `+a=v@5` for a put, `-a@6` for a delete."""
        names = []
        for event in events:
            name = event.kv.key.removeprefix(self.prefix).decode()
            change = f"-{name}" if event.deleted else f"+{name}={event.kv.value.decode()}"
            names.append(f"{change}@{event.kv.mod_revision}")
        return names


async def take_events(batches: AsyncIterator[WatchBatch], count: int) -> list[Event]:
    """Read a watch until that many events have come; whole revisions, so it may be more."""
    events: list[Event] = []
    async with asyncio.timeout(WAIT_S_MAX):
        while len(events) < count:
            events += (await anext(batches)).events
    return events


async def take_progress(batches: AsyncIterator[WatchBatch], revision: int) -> Revision:
    """Read a watch until it has told progress up to a revision."""
    async with asyncio.timeout(WAIT_S_MAX):
        while (batch := await anext(batches)).revision < revision or batch.events:
            pass
    return batch.revision
