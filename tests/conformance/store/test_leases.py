"""Leases: granted, kept alive, revoked, expired, and what becomes of their keys."""

from __future__ import annotations

import pytest
from tests.support.stores import Scene, take_events

from decube.kit.errors import AlreadyExists, Invalid, NotFound
from decube.kit.ids import RandomIds
from decube.store.limits import LEASE_TTL_S_MAX
from decube.store.types import LeaseId, Put, RangeRequest, lease_text

LONG_TTL_S = 600


def unused_lease() -> LeaseId:
    """Return a lease id that nobody has, positive as etcd's own are."""
    return LeaseId(int(RandomIds().request_id()[:14], 16) + 1)


async def test_a_lease_has_its_ttl_and_its_keys(scene: Scene) -> None:
    lease = await scene.store.lease_grant(LONG_TTL_S)
    assert lease.ttl_s == LONG_TTL_S
    for name in ("b", "a"):
        await scene.put(name, lease=lease.id)
    status = await scene.store.lease_status(lease.id, with_keys=True)
    assert (status.id, status.granted_ttl_s) == (lease.id, LONG_TTL_S)
    assert LONG_TTL_S - 10 <= status.remaining_ttl_s <= LONG_TTL_S
    assert status.keys == (scene.key("a"), scene.key("b"))
    assert (await scene.store.lease_status(lease.id)).keys == ()
    found = await scene.get("a")
    assert found is not None
    assert found.lease == lease.id
    await scene.store.lease_revoke(lease.id)


async def test_a_lease_may_be_named_once(scene: Scene) -> None:
    lease_id = unused_lease()
    assert (await scene.store.lease_grant(LONG_TTL_S, lease_id)).id == lease_id
    with pytest.raises(AlreadyExists):
        await scene.store.lease_grant(LONG_TTL_S, lease_id)
    assert lease_id in await scene.store.leases()
    await scene.store.lease_revoke(lease_id)
    assert lease_id not in await scene.store.leases()


async def test_a_negative_lease_id_is_fine(scene: Scene) -> None:
    lease_id = LeaseId(-unused_lease())
    await scene.store.lease_grant(LONG_TTL_S, lease_id)
    assert await scene.store.lease_keep_alive(lease_id) == LONG_TTL_S
    await scene.store.lease_revoke(lease_id)


async def test_a_short_ttl_is_raised_and_one_beyond_the_limit_refused(scene: Scene) -> None:
    lease = await scene.store.lease_grant(1)
    assert lease.ttl_s == 2
    await scene.store.lease_revoke(lease.id)
    with pytest.raises(Invalid) as refused:
        await scene.store.lease_grant(LEASE_TTL_S_MAX + 1)
    assert refused.value.field == "ttl_s"


async def test_revoking_deletes_all_keys_in_one_revision(scene: Scene) -> None:
    lease = await scene.store.lease_grant(LONG_TTL_S)
    for name in ("c", "a", "b"):
        await scene.put(name, lease=lease.id)
    before = await scene.put("free")
    async with scene.watch() as batches:
        revision = await scene.store.lease_revoke(lease.id)
        events = await take_events(batches, 3)
    assert revision == before + 1
    assert sorted(scene.told(events)) == [f"-{name}@{revision}" for name in "abc"]
    assert [kv.key for kv in (await scene.list()).kvs] == [scene.key("free")]


async def test_revoking_a_lease_without_keys_makes_no_revision(scene: Scene) -> None:
    lease = await scene.store.lease_grant(LONG_TTL_S)
    before = await scene.put("a")
    assert await scene.store.lease_revoke(lease.id) == before


async def test_a_key_leaves_its_lease_when_written_without_it(scene: Scene) -> None:
    first, second = [await scene.store.lease_grant(LONG_TTL_S) for _ in range(2)]
    await scene.put("detached", lease=first.id)
    await scene.put("detached")
    await scene.put("moved", lease=first.id)
    await scene.put("moved", lease=second.id)
    await scene.store.lease_revoke(first.id)
    assert (await scene.list()).count == 2
    await scene.store.lease_revoke(second.id)
    assert [kv.key for kv in (await scene.list()).kvs] == [scene.key("detached")]


async def test_an_expired_lease_takes_its_keys_along_and_watchers_see_it(scene: Scene) -> None:
    lease = await scene.store.lease_grant(2)
    for name in "ab":
        await scene.put(name, lease=lease.id)
    async with scene.watch() as batches:
        events = await take_events(batches, 2)
    assert all(event.deleted for event in events)
    assert len({event.kv.mod_revision for event in events}) == 1
    with pytest.raises(NotFound):
        await scene.store.lease_status(lease.id)


async def test_a_kept_lease_outlives_one_that_is_not(scene: Scene) -> None:
    kept, left = [await scene.store.lease_grant(2) for _ in range(2)]
    await scene.put("kept", lease=kept.id)
    await scene.put("left", lease=left.id)
    async with scene.watch() as batches:
        gone = False
        while not gone:
            assert await scene.store.lease_keep_alive(kept.id) == 2
            read = await scene.store.range(RangeRequest(range=scene.all, count_only=True))
            gone = read.count < 2
        (event,) = await take_events(batches, 1)
    assert event.kv.key == scene.key("left")
    await scene.store.lease_revoke(kept.id)


async def test_an_unknown_lease_is_not_found(scene: Scene) -> None:
    unknown = unused_lease()
    for call in (
        scene.store.lease_keep_alive(unknown),
        scene.store.lease_revoke(unknown),
        scene.store.lease_status(unknown),
    ):
        with pytest.raises(NotFound, match=f"^lease {lease_text(unknown)} is not there"):
            await call
    with pytest.raises(NotFound):
        await scene.do(Put(scene.key("a"), b"v", unknown))
