"""What a write does beside its object: a store lease, and keys of others, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.registry.conftest import pod

from decube.kit.errors import AlreadyExists, Conflict
from decube.model.pod import Pod, PodStatus
from decube.registry.beside import Beside
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    KeyRange,
    KeyValue,
    Put,
    RangeRequest,
)

if TYPE_CHECKING:
    from tests.unit.registry.conftest import Scene

    from decube.store.types import LeaseId

CLAIM = b"claim"
FREE = Compare(KeyRange(CLAIM), CompareTarget.VERSION, CompareOperator.EQUAL, 0)


async def row(scene: Scene, key: bytes) -> KeyValue | None:
    kvs = (await scene.store.range(RangeRequest(range=KeyRange(key)))).kvs
    return kvs[0] if kvs else None


def claiming(lease: LeaseId) -> Beside:
    return Beside(lease=lease, compares=(FREE,), writes=(Put(CLAIM, b"a", lease),))


def running(current: Pod) -> Pod:
    return Pod(current.metadata, current.spec, PodStatus("running"))


async def test_an_object_and_what_is_beside_it_come_and_go_together(scene: Scene) -> None:
    lease = (await scene.store.lease_grant(600)).id
    created = await scene.pods.create(pod("a"), beside=claiming(lease))
    claim = await row(scene, CLAIM)
    assert claim is not None
    assert claim.create_revision == created.metadata.create_version
    assert created.metadata.store_lease == claim.lease == lease
    assert await scene.pods.get("default", "a") == created
    await scene.store.lease_revoke(lease)
    assert await row(scene, CLAIM) is None
    assert not await scene.pods.delete("default", "a")


async def test_nothing_is_written_where_a_compare_does_not_hold(scene: Scene) -> None:
    lease = (await scene.store.lease_grant(600)).id
    await scene.pods.create(pod("a"), beside=claiming(lease))
    with pytest.raises(Conflict, match="what goes with it"):
        await scene.pods.create(pod("b"), beside=claiming(lease))
    assert not await scene.pods.delete("default", "b")
    with pytest.raises(AlreadyExists):
        await scene.pods.create(pod("a"), beside=claiming(lease))
    with pytest.raises(Conflict, match="what goes with it"):
        await scene.pods.update("default", "a", running, beside=claiming(lease))
    assert (await scene.pods.get("default", "a")).status.phase == ""


async def test_an_update_keeps_the_store_lease_unless_it_names_another(scene: Scene) -> None:
    first, second = [(await scene.store.lease_grant(600)).id for _ in range(2)]
    created = await scene.pods.create(pod("a"), beside=Beside(lease=first))
    updated = await scene.pods.update("default", "a", running)
    assert updated.metadata.store_lease == first
    moved = await scene.pods.update("default", "a", running, beside=Beside(lease=second))
    assert moved.metadata.store_lease == second
    assert moved.metadata.create_version == created.metadata.create_version
    await scene.store.lease_revoke(first)
    assert await scene.pods.get("default", "a") == moved


async def test_what_the_key_tells_is_not_stored_with_the_object(scene: Scene) -> None:
    lease = (await scene.store.lease_grant(600)).id
    await scene.pods.create(pod("a"), beside=Beside(lease=lease))
    await scene.pods.update("default", "a", running)
    stored = await row(scene, b"/decube/pods/default/a")
    assert stored is not None
    for field in (b"resourceVersion", b"createVersion", b"storeLease"):
        assert field not in stored.value
