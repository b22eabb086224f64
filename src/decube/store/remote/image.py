"""An image of an etcd store, made of pages read at one revision.

Keys are exact. etcd has no leases of a past revision: those listed before and after the revision
was chosen are in, with what they have left now.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from decube import _native
from decube.kit.errors import NotFound
from decube.store.types import KeyRange, RangeRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from decube.kit.clock import Clock
    from decube.store.protocol import Store
    from decube.store.types import KeyValue, LeaseId, LeaseStatus, Revision

PIECE_BYTES = 1024 * 1024
# The first page is small, since nothing is known of the values; each next one aims at a piece.
PAGE_KEYS_FIRST = 4
# Of small keys, because large ones may follow: the page that has them is held whole.
PAGE_KEYS_MAX = 500
LEASES_AT_ONCE = 32


class RemoteImage:
    """A `StoreImage`, read from its store while it is iterated."""

    def __init__(self, store: Store, clock: Clock, revision: Revision) -> None:
        self.revision = revision
        self._store = store
        self._clock = clock
        self._leases: dict[LeaseId, LeaseStatus] = {}
        self._pieces = self._read()

    @classmethod
    async def open(cls, store: Store, clock: Clock) -> RemoteImage:
        """Choose the revision: the current one."""
        before = await _read_leases(store, await store.leases())
        request = RangeRequest(range=KeyRange(b"\0"), count_only=True)
        image = cls(store, clock, (await store.range(request)).revision)
        image._leases = before
        return image

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def close(self) -> None:
        """End the iteration."""
        await self._pieces.aclose()

    async def _read(self) -> AsyncGenerator[bytes]:
        encoder = await self._begin()
        keys, next_key = PAGE_KEYS_FIRST, b"\0"
        more = True
        while more:
            request = RangeRequest(
                range=KeyRange(next_key, b"\0"), limit=keys, revision=self.revision
            )
            page = await self._store.range(request)
            more = page.more
            _put(encoder, page.kvs)
            if page.kvs:
                next_key = page.kvs[-1].key + b"\0"
                keys = _plan_page(page.kvs)
            if encoder.ready_bytes() >= PIECE_BYTES:
                yield encoder.take()
        yield encoder.finish()

    async def _begin(self) -> _native.ImageEncoder:
        """Make the encoder and give it the leases, which come first."""
        status = await self._store.status()
        new = [lease for lease in await self._store.leases() if lease not in self._leases]
        leases = self._leases | await _read_leases(self._store, new)
        # What is behind the revision is not in the image: as after a compaction there.
        encoder = _native.ImageEncoder(
            self.revision, self.revision, status.cluster_id, status.member_id
        )
        now_s = self._clock.now().timestamp()
        for lease_id in sorted(leases):
            lease = leases[lease_id]
            encoder.lease(lease_id, lease.granted_ttl_s, now_s + lease.remaining_ttl_s)
        return encoder


async def _read_leases(store: Store, ids: Iterable[LeaseId]) -> dict[LeaseId, LeaseStatus]:
    """Look at leases, some at a time; those that end meanwhile are left out."""
    gate = asyncio.Semaphore(LEASES_AT_ONCE)
    found: dict[LeaseId, LeaseStatus] = {}

    async def read(lease_id: LeaseId) -> None:
        async with gate:
            try:
                found[lease_id] = await store.lease_status(lease_id)
            except NotFound:
                return

    async with asyncio.TaskGroup() as tasks:
        for lease_id in ids:
            tasks.create_task(read(lease_id), name=f"lease {lease_id:x} for an image")
    return found


def _put(encoder: _native.ImageEncoder, kvs: Iterable[KeyValue]) -> None:
    for kv in kvs:
        encoder.put(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _plan_page(kvs: tuple[KeyValue, ...]) -> int:
    """Return how many keys like these make a piece; not many more than the last time."""
    bytes_each = sum(len(kv.key) + len(kv.value) for kv in kvs) // len(kvs) + 1
    return max(1, min(PIECE_BYTES // bytes_each, 4 * len(kvs), PAGE_KEYS_MAX))
