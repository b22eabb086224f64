"""Leases on every backend: one holder a name, true times, nothing left behind."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.support.stores import WAIT_S_MAX, take_events

from decube.kit.clock import SystemClock
from decube.kit.errors import AlreadyExists, Conflict, Invalid, NotFound
from decube.model.lease import TTL_S_DEFAULT, TTL_S_MAX, TTL_S_MIN, LeaseView
from decube.services.leases import LeaseDraft, LeaseService
from decube.services.leases.names import name_key
from decube.store.delegating import DelegatingStore
from decube.store.types import Delete, KeyRange, LeaseId, Put, RangeRequest, Txn

if TYPE_CHECKING:
    from tests.support.stores import Scene

    from decube.store.protocol import Store
    from decube.store.types import Revision

LONG_TTL_S = 600
TELLING_ERROR = timedelta(seconds=1)
ABSENT = "lease-0000000000000043"

_numbers = itertools.count(1)


@pytest.fixture
def leases(scene: Scene) -> LeaseService:
    return LeaseService(scene.store)


@pytest.fixture
def name() -> str:
    """Yield a name that no other test has: they share one real etcd."""
    return f"name-{next(_numbers)}"


def draft(holder: str = "a", ttl_s: int = LONG_TTL_S, **fields: object) -> LeaseDraft:
    return LeaseDraft(holder=holder, ttl_seconds=ttl_s, **fields)  # type: ignore[arg-type]


def store_lease(lease: LeaseView) -> LeaseId:
    """Return the store lease of a lease that was not moved."""
    number = int(lease.id.removeprefix("lease-"), 16)
    return LeaseId(number - (1 << 64) if number >= 1 << 63 else number)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def key(lease: LeaseView) -> bytes:
    return f"/decube/leases/default/{lease.id}".encode()


async def test_a_lease_tells_what_it_was_given(leases: LeaseService) -> None:
    before = SystemClock().now().astimezone(UTC)
    lease, resumed = await leases.create(draft("scheduler-1", metadata={"purpose": "election"}))
    assert not resumed
    assert (lease.holder, lease.ttl_seconds, lease.name) == ("scheduler-1", LONG_TTL_S, "")
    assert lease.metadata == {"purpose": "election"}
    assert lease.fencing_token > 0
    ttl = timedelta(seconds=LONG_TTL_S)
    assert moment(lease.expires_at) - moment(lease.granted_at) == ttl
    assert abs(moment(lease.expires_at) - before - ttl) < timedelta(seconds=20)
    found = await leases.get(lease.id)
    assert found.fencing_token == lease.fencing_token
    assert abs(moment(found.expires_at) - moment(lease.expires_at)) <= TELLING_ERROR


async def test_its_key_ends_with_a_store_lease_of_its_number(
    leases: LeaseService, scene: Scene, name: str
) -> None:
    lease, _ = await leases.create(draft(name=name))
    status = await scene.store.lease_status(store_lease(lease), with_keys=True)
    assert set(status.keys) == {key(lease), name_key(name)}
    assert status.granted_ttl_s == LONG_TTL_S


async def test_a_lease_that_runs_out_is_gone_and_watchers_see_it(
    leases: LeaseService, scene: Scene, name: str
) -> None:
    lease, _ = await leases.create(draft(ttl_s=TTL_S_MIN, name=name))
    async with scene.watch(lease.fencing_token + 1, keys=KeyRange(key(lease))) as batches:
        (event,) = await take_events(batches, 1)
    assert event.deleted
    for call in (leases.get(lease.id), leases.renew(lease.id), leases.renew(lease.id, LONG_TTL_S)):
        with pytest.raises(NotFound):
            await call
    assert not await leases.delete(lease.id)
    successor, resumed = await leases.create(draft("b", name=name))
    assert not resumed
    assert successor.fencing_token > lease.fencing_token


async def test_a_renewal_makes_no_revision_and_starts_the_time_anew(
    leases: LeaseService, scene: Scene
) -> None:
    lease, _ = await leases.create(draft(ttl_s=20))
    before = (await scene.store.status()).revision
    async with asyncio.timeout(WAIT_S_MAX):
        while (  # noqa: ASYNC110 - the store has no event for it
            await scene.store.lease_status(store_lease(lease))
        ).remaining_ttl_s >= 19:
            await asyncio.sleep(0.05)
    renewed = await leases.renew(lease.id)
    assert moment(renewed.expires_at) > moment(lease.expires_at)
    assert renewed.fencing_token == lease.fencing_token
    assert (await scene.store.status()).revision == before


async def test_a_renewal_with_another_ttl_keeps_id_token_and_name(
    leases: LeaseService, scene: Scene, name: str
) -> None:
    lease, _ = await leases.create(draft(name=name, metadata={"a": "1"}))
    for ttl_s in (LONG_TTL_S * 2, 30):
        renewed = await leases.renew(lease.id, ttl_s)
        assert (renewed.id, renewed.name) == (lease.id, name)
        assert (renewed.ttl_seconds, renewed.metadata) == (ttl_s, {"a": "1"})
        assert renewed.fencing_token == lease.fencing_token
        found = await leases.get(lease.id)
        assert found.ttl_seconds == ttl_s
        assert abs(moment(found.expires_at) - moment(renewed.expires_at)) <= TELLING_ERROR
    with pytest.raises(AlreadyExists):
        await leases.create(draft("b", name=name))
    with pytest.raises(NotFound):  # the first store lease did not stay behind
        await scene.store.lease_status(store_lease(lease))
    assert await leases.delete(lease.id)
    successor, _ = await leases.create(draft("b", name=name))
    assert successor.fencing_token > lease.fencing_token


async def test_a_lease_with_keys_of_others_keeps_its_ttl(
    leases: LeaseService, scene: Scene
) -> None:
    lease, _ = await leases.create(draft())
    await scene.put("theirs", lease=store_lease(lease))
    with pytest.raises(Conflict, match="1 other keys"):
        await leases.renew(lease.id, 30)
    assert (await leases.renew(lease.id)).ttl_seconds == LONG_TTL_S
    assert await leases.delete(lease.id)
    assert await scene.get("theirs") is None


async def test_renewals_at_the_same_time_all_succeed(leases: LeaseService, name: str) -> None:
    lease, _ = await leases.create(draft(name=name))
    ttls = (100, 200, 300, 100, 400)
    renewed = await asyncio.gather(*(leases.renew(lease.id, ttl_s) for ttl_s in ttls))
    assert [one.ttl_seconds for one in renewed] == list(ttls)
    found = await leases.get(lease.id)
    assert found.ttl_seconds in ttls
    assert found.fencing_token == lease.fencing_token


async def test_a_name_is_one_holders(leases: LeaseService, scene: Scene, name: str) -> None:
    held, _ = await leases.create(draft("a", name=name))
    before = len(await scene.store.leases())
    with pytest.raises(AlreadyExists, match=f"{name} is held by a until") as refused:
        await leases.create(draft("b", name=name))
    details = refused.value.details
    assert (details["holder"], details["id"], details["name"]) == ("a", held.id, name)
    told = moment(str(details["expires_at"]))
    assert abs(told - moment(held.expires_at)) <= TELLING_ERROR
    assert len(await scene.store.leases()) == before
    await leases.delete(held.id)
    successor, _ = await leases.create(draft("b", name=name))
    assert successor.fencing_token > held.fencing_token


async def test_of_many_at_once_one_gets_the_name(
    leases: LeaseService, scene: Scene, name: str
) -> None:
    before = set(await scene.store.leases())
    calls = (leases.create(draft(f"h{number}", name=name)) for number in range(20))
    told = await asyncio.gather(*calls, return_exceptions=True)
    (won,) = [one for one in told if not isinstance(one, BaseException)]
    assert all(isinstance(one, AlreadyExists) for one in told if one is not won)
    mine = set(await scene.store.leases()) - before
    assert mine == {store_lease(won.lease)}  # the others gave theirs back


async def test_a_call_that_is_given_up_leaves_nothing_behind(
    leases: LeaseService, scene: Scene, name: str
) -> None:
    before = set(await scene.store.leases())
    calls = [
        asyncio.create_task(leases.create(draft(f"h{number}", TTL_S_MIN, name=f"{name}-{number}")))
        for number in range(8)
    ]
    async with asyncio.timeout(WAIT_S_MAX):
        while not set(await scene.store.leases()) - before:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        while set(await scene.store.leases()) - before:  # noqa: ASYNC110 - they run out
            await asyncio.sleep(0.05)
    freed, _ = await leases.create(draft(name=f"{name}-0"))
    assert await leases.delete(freed.id)


async def test_a_holder_that_asks_again_gets_its_lease_again(
    leases: LeaseService, name: str
) -> None:
    first, _ = await leases.create(draft("a", name=name, metadata={"try": "1"}))
    again, resumed = await leases.create(draft("a", 900, name=name, metadata={"try": "2"}))
    assert resumed
    assert (again.id, again.fencing_token) == (first.id, first.fencing_token)
    assert (again.ttl_seconds, again.metadata) == (900, {"try": "2"})
    same, _ = await leases.create(draft("a", 900, name=name, metadata={"try": "3"}))
    assert (same.id, same.metadata) == (first.id, {"try": "3"})
    assert (await leases.get(first.id)).metadata == {"try": "3"}


async def test_a_name_whose_lease_was_deleted_by_hand_is_free(
    leases: LeaseService, scene: Scene, name: str
) -> None:
    lost, _ = await leases.create(draft("a", name=name))
    await scene.store.txn(Txn(success=(Delete(KeyRange(key(lost))),)))
    taken, resumed = await leases.create(draft("b", name=name))
    assert not resumed
    assert taken.fencing_token > lost.fencing_token
    request = RangeRequest(range=KeyRange(name_key(name)))
    (row,) = (await scene.store.range(request)).kvs
    assert row.create_revision == taken.fencing_token  # it fences the former holder off
    await scene.store.lease_revoke(store_lease(lost))
    with pytest.raises(AlreadyExists):
        await leases.create(draft("c", name=name))


@pytest.mark.parametrize("ttl_s", [0, 900])
@pytest.mark.parametrize("taken", [False, True])
async def test_a_lease_whose_name_was_deleted_by_hand_is_not_renewed(
    leases: LeaseService, scene: Scene, name: str, ttl_s: int, *, taken: bool
) -> None:
    lost, _ = await leases.create(draft("a", name=name))
    assert (await leases.renew(lost.id, ttl_s)).id == lost.id
    await scene.store.txn(Txn(success=(Delete(KeyRange(name_key(name))),)))
    if taken:
        await leases.create(draft("b", name=name))
    with pytest.raises(NotFound, match=f"{lost.id} has lost the name {name}"):
        await leases.renew(lost.id, ttl_s)
    # What ends the one that was lost leaves the next holder's alone.
    assert await leases.delete(lost.id)
    request = RangeRequest(range=KeyRange(name_key(name)))
    assert len((await scene.store.range(request)).kvs) == taken


async def test_a_lease_whose_key_was_detached_by_hand_has_ended_and_can_be_deleted(
    leases: LeaseService, scene: Scene
) -> None:
    lease, _ = await leases.create(draft())
    row = (await scene.store.txn(Txn(success=(Put(key(lease), b"{}"),)))).revision
    assert row
    assert await leases.delete(lease.id)
    with pytest.raises(NotFound):
        await leases.get(lease.id)


class MovingStore(DelegatingStore):
    """A store on which somebody gives a lease another TTL right before it is revoked."""

    def __init__(self, store: Store, lease_id: str) -> None:
        super().__init__(store)
        self._lease_id = lease_id
        self._moved = False

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        if not self._moved:
            self._moved = True
            await LeaseService(self._store).renew(self._lease_id, 900)
        return await super().lease_revoke(lease_id)


async def test_a_lease_whose_ttl_changes_while_it_is_deleted_takes_all_its_keys_along(
    leases: LeaseService, scene: Scene, name: str
) -> None:
    lease, _ = await leases.create(draft(name=name))
    assert await LeaseService(MovingStore(scene.store, lease.id)).delete(lease.id)
    for gone in (key(lease), name_key(name)):
        assert not (await scene.store.range(RangeRequest(range=KeyRange(gone)))).kvs


async def test_lists_have_pages_and_are_filtered(leases: LeaseService, name: str) -> None:
    holder = f"holder of {name}"
    made = [(await leases.create(draft(holder))).lease for _ in range(5)]
    named, _ = await leases.create(draft(holder, name=name))
    ids = sorted(lease.id for lease in (*made, named))
    seen: list[str] = []
    token = ""
    while True:
        page = await leases.list(holder=holder, limit=2, continue_token=token)
        seen += [lease.id for lease in page.leases]
        if not (token := page.continue_token):
            break
    assert seen == ids
    (found,) = (await leases.list(name=name)).leases
    assert found.id == named.id
    assert (await leases.list(holder=f"no {holder}")).leases == []
    first = await leases.list(holder=holder, limit=2)
    with pytest.raises(Invalid, match="another list"):
        await leases.list(holder="b", limit=2, continue_token=first.continue_token)


async def test_a_page_leaves_out_what_ended_and_shows_what_was_moved(
    leases: LeaseService, name: str
) -> None:
    made = [(await leases.create(draft(name))).lease for _ in range(4)]
    made.sort(key=lambda lease: lease.id)
    first = await leases.list(holder=name, limit=1)
    await leases.delete(made[1].id)
    await leases.renew(made[2].id, 30)
    rest = await leases.list(holder=name, limit=10, continue_token=first.continue_token)
    assert [(lease.id, lease.ttl_seconds) for lease in rest.leases] == [
        (made[2].id, 30),
        (made[3].id, LONG_TTL_S),
    ]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (draft(""), "holder"),
        (draft("x" * 254), "holder"),
        (draft("a\nb"), "holder"),
        (draft(ttl_s=1), "ttl_seconds"),
        (draft(ttl_s=-1), "ttl_seconds"),
        (draft(ttl_s=TTL_S_MAX + 1), "ttl_seconds"),
        (draft(name="Not a name"), "name"),
        (draft(metadata={"": "x"}), "metadata"),
        (draft(metadata={"a": "x" * 300_000}), "metadata"),
    ],
)
async def test_what_is_wrong_is_named_and_grants_nothing(
    leases: LeaseService, scene: Scene, wanted: LeaseDraft, field: str
) -> None:
    before = await scene.store.leases()
    with pytest.raises(Invalid) as refused:
        await leases.create(wanted)
    assert refused.value.field == field
    assert await scene.store.leases() == before


async def test_the_longest_and_the_default_ttl_are_granted(leases: LeaseService) -> None:
    longest, _ = await leases.create(draft(ttl_s=TTL_S_MAX))
    assert (await leases.get(longest.id)).ttl_seconds == TTL_S_MAX
    default, _ = await leases.create(draft(ttl_s=0))
    assert default.ttl_seconds == TTL_S_DEFAULT
    with pytest.raises(Invalid) as refused:
        await leases.renew(longest.id, 1)
    assert refused.value.field == "ttl_seconds"
    await leases.delete(longest.id)


@pytest.mark.parametrize("lease_id", [ABSENT, "", "a/b", "lease-1700000000", "LEASE-" + "0" * 16])
async def test_an_unknown_lease_is_not_found(leases: LeaseService, lease_id: str) -> None:
    for call in (leases.get(lease_id), leases.renew(lease_id), leases.renew(lease_id, 60)):
        with pytest.raises(NotFound):
            await call
    assert not await leases.delete(lease_id)
