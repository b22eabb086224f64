"""Filling an empty etcd from an image: whole, and taken up again where it was interrupted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.support.peers import peer
from tests.support.stores import embedded, remote

from decube.kit.errors import Conflict, Corrupt, Unavailable
from decube.store.remote.fill import PROGRESS_KEY, Filling
from decube.store.types import KeyRange, Put, RangeRequest, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from decube.store.protocol import Store
    from decube.store.types import KeyValue, LeaseId

EVERYTHING = RangeRequest(range=KeyRange(b"\0", b"\0"))
KEYS = 1000
HASH = "of the image"


@asynccontextmanager
async def etcd(fresh_etcd: Callable[[], str]) -> AsyncIterator[Store]:
    peer("server")
    async with remote(fresh_etcd()) as store:
        yield store


async def image_of_a_store() -> tuple[list[bytes], LeaseId]:
    async with embedded() as store:
        lease = await store.lease_grant(300)
        for start in range(0, KEYS, 100):
            puts = (Put(b"key-%04d" % n, b"v" * 3000) for n in range(start, start + 100))
            await store.txn(Txn(success=tuple(puts)))
        await store.txn(Txn(success=(Put(b"leased", b"v", lease.id), Put(b"\0odd\xff", b""))))
        async with store.image() as image:
            return [piece async for piece in image], lease.id


async def handed_out(pieces: list[bytes], until: int | None = None) -> AsyncIterator[bytes]:
    whole = b"".join(pieces)
    for start in range(0, len(whole), 64 * 1024):
        if until is not None and start >= until:
            raise Unavailable("the location went away")
        yield whole[start : start + 64 * 1024]


async def everything(store: Store) -> dict[bytes, KeyValue]:
    return {kv.key: kv for kv in (await store.range(EVERYTHING)).kvs}


async def test_an_empty_store_gets_all_keys_and_leases(fresh_etcd: Callable[[], str]) -> None:
    pieces, lease = await image_of_a_store()
    async with etcd(fresh_etcd) as store:
        assert await Filling(store, HASH).run(handed_out(pieces)) == KEYS + 2
        found = await everything(store)
        assert len(found) == KEYS + 2
        assert found[b"key-0999"].value == b"v" * 3000
        assert found[b"leased"].lease == lease
        assert (await store.lease_status(lease)).granted_ttl_s == 300


async def test_what_was_interrupted_goes_on(fresh_etcd: Callable[[], str]) -> None:
    pieces, lease = await image_of_a_store()
    async with etcd(fresh_etcd) as store:
        with pytest.raises(Unavailable, match="went away"):
            await Filling(store, HASH).run(handed_out(pieces, until=1_500_000))
        partly = await everything(store)
        assert PROGRESS_KEY in partly
        assert 100 < len(partly) < KEYS
        with pytest.raises(Conflict, match="from another snapshot"):
            await Filling(store, "another").run(handed_out(pieces))
        assert await Filling(store, HASH).run(handed_out(pieces)) == KEYS + 2
        found = await everything(store)
        assert found.keys() == {b"key-%04d" % n for n in range(KEYS)} | {b"leased", b"\0odd\xff"}
        # What was there already was not written again.
        assert found[b"key-0001"].version == 1
        assert found[b"leased"].lease == lease


async def test_a_store_that_holds_something_is_refused(fresh_etcd: Callable[[], str]) -> None:
    pieces, _ = await image_of_a_store()
    async with etcd(fresh_etcd) as store:
        await store.txn(Txn(success=(Put(b"precious", b"v"),)))
        with pytest.raises(Conflict, match="not empty: it has 1 keys"):
            await Filling(store, HASH).run(handed_out(pieces))
        assert (await everything(store)).keys() == {b"precious"}


async def test_a_damaged_image_leaves_the_store_unfinished(fresh_etcd: Callable[[], str]) -> None:
    pieces, _ = await image_of_a_store()
    damaged = bytearray(b"".join(pieces))
    damaged[-5000] ^= 1
    async with etcd(fresh_etcd) as store:
        with pytest.raises(Corrupt, match="the image is damaged"):
            await Filling(store, HASH).run(handed_out([bytes(damaged)]))
        assert PROGRESS_KEY in await everything(store)
