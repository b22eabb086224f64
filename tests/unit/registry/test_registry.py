from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from tests.unit.registry.conftest import Scene, pod

from decube.kit.clock import SystemClock
from decube.kit.errors import AlreadyExists, Conflict, Corrupt, Invalid, NotFound
from decube.kit.ids import SequentialIds
from decube.model.metadata import ResourceVersion
from decube.model.pod import Pod, PodSpec, PodStatus
from decube.registry.registry import ATTEMPTS_MAX, Registry
from decube.registry.unreadable import UnreadableRows
from decube.services.pods.service import PODS
from decube.store.types import KeyRange, RangeRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from decube.store.protocol import Store
    from decube.store.types import Txn, TxnResult


def phased(phase: str) -> Callable[[Pod], Pod]:
    return lambda current: msgspec.structs.replace(current, status=PodStatus(phase))


def moved_to(node_name: str) -> Callable[[Pod], Pod]:
    return lambda current: msgspec.structs.replace(current, spec=PodSpec(node_name))


def finalized(*finalizers: str) -> Callable[[Pod], Pod]:
    def change(current: Pod) -> Pod:
        metadata = msgspec.structs.replace(current.metadata, finalizers=finalizers)
        return msgspec.structs.replace(current, metadata=metadata)

    return change


async def test_create_sets_identity_and_bookkeeping(scene: Scene) -> None:
    created = await scene.pods.create(pod("a", app="web"))
    metadata = created.metadata
    assert metadata.uid == "00000000-0000-4000-8000-000000000001"
    assert metadata.generation == 1
    assert metadata.creation_timestamp == metadata.update_timestamp == "2026-01-01T00:00:00Z"
    assert metadata.resource_version > 0
    assert await scene.pods.get("default", "a") == created


async def test_an_object_is_json_under_its_key_with_the_keys_revision(scene: Scene) -> None:
    created = await scene.pods.create(pod("a", "team", node_name="n1"))
    found = await scene.store.range(RangeRequest(range=KeyRange(b"/decube/pods/team/a")))
    (row,) = found.kvs
    assert row.mod_revision == created.metadata.resource_version
    stored = json.loads(row.value)
    assert stored["spec"] == {"nodeName": "n1"}
    assert "resourceVersion" not in stored["metadata"]


async def test_create_on_an_existing_object_tells_its_version(scene: Scene) -> None:
    created = await scene.pods.create(pod("a"))
    with pytest.raises(AlreadyExists) as refused:
        await scene.pods.create(pod("a"))
    assert refused.value.resource_version == str(created.metadata.resource_version)


async def test_only_one_of_many_creators_wins(scene: Scene) -> None:
    outcomes = await asyncio.gather(
        *(scene.pods.create(pod("a", phase=str(n))) for n in range(20)), return_exceptions=True
    )
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, Pod))
    assert await scene.pods.get("default", "a") == winner
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 19


async def test_a_broken_rule_changes_nothing(scene: Scene) -> None:
    before = (await scene.store.status()).revision
    with pytest.raises(Invalid):
        await scene.pods.create(pod("a", app="-"))
    created = await scene.pods.create(pod("b"))
    with pytest.raises(Invalid):
        await scene.pods.update("default", "b", phased("\n"))
    assert await scene.pods.get("default", "b") == created
    assert (await scene.store.status()).revision == before + 1


@pytest.mark.parametrize(("namespace", "name"), [("default", "A"), ("a.b", "a"), ("", "a")])
async def test_bad_names_are_refused(scene: Scene, namespace: str, name: str) -> None:
    with pytest.raises(Invalid):
        await scene.pods.get(namespace, name)


async def test_get_of_an_absent_object_names_it(scene: Scene) -> None:
    with pytest.raises(NotFound, match="pod team/a not found"):
        await scene.pods.get("team", "a")


async def test_update_keeps_identity_and_stamps_the_time(scene: Scene) -> None:
    created = await scene.pods.create(pod("a"))
    await scene.clock.advance(60)
    updated = await scene.pods.update("default", "a", phased("running"))
    assert updated.metadata.uid == created.metadata.uid
    assert updated.metadata.creation_timestamp == "2026-01-01T00:00:00Z"
    assert updated.metadata.update_timestamp == "2026-01-01T00:01:00Z"
    assert updated.metadata.resource_version > created.metadata.resource_version
    assert await scene.pods.get("default", "a") == updated


async def test_generation_rises_with_the_spec_only(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    updated = await scene.pods.update("default", "a", phased("running"))
    assert updated.metadata.generation == 1
    for _ in range(2):
        updated = await scene.pods.update("default", "a", moved_to("n2"))
        assert updated.metadata.generation == 2


async def test_update_of_another_version_is_a_conflict_that_tells_the_present(
    scene: Scene,
) -> None:
    created = await scene.pods.create(pod("a"))
    seen = created.metadata.resource_version
    updated = await scene.pods.update("default", "a", phased("x"), expected=seen)
    with pytest.raises(Conflict) as refused:
        await scene.pods.update("default", "a", phased("y"), expected=seen)
    assert refused.value.resource_version == str(updated.metadata.resource_version)
    assert (await scene.pods.get("default", "a")).status.phase == "x"


async def test_of_many_conditional_updates_of_one_version_one_wins(scene: Scene) -> None:
    created = await scene.pods.create(pod("a"))
    seen = created.metadata.resource_version
    outcomes = await asyncio.gather(
        *(scene.pods.update("default", "a", phased(str(n)), expected=seen) for n in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Pod) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 9


class OvertakenStore:
    """A store on which something happens just before each of the next transactions."""

    def __init__(self, store: Store, *overtakers: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._overtakers = list(overtakers)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def txn(self, request: Txn) -> TxnResult:
        if self._overtakers:
            await self._overtakers.pop(0)()
        return await self._store.txn(request)


def overtaken(scene: Scene, *overtakers: Callable[[], Awaitable[object]]) -> Registry[Pod]:
    store = cast("Store", OvertakenStore(scene.store, *overtakers))
    return Registry(store, PODS, UnreadableRows(), clock=SystemClock(), ids=SequentialIds())


async def test_an_update_that_was_overtaken_is_applied_to_what_overtook_it(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    pods = overtaken(scene, lambda: scene.pods.update("default", "a", moved_to("n2")))
    updated = await pods.update("default", "a", phased("running"))
    assert (updated.spec.node_name, updated.status.phase) == ("n2", "running")
    assert await scene.pods.get("default", "a") == updated


async def test_a_conditional_update_that_was_overtaken_is_a_conflict(scene: Scene) -> None:
    seen = (await scene.pods.create(pod("a"))).metadata.resource_version
    pods = overtaken(scene, lambda: scene.pods.update("default", "a", moved_to("n2")))
    with pytest.raises(Conflict):
        await pods.update("default", "a", phased("running"), expected=seen)
    assert (await scene.pods.get("default", "a")).status.phase == ""


async def test_an_update_gives_up_when_it_is_overtaken_again_and_again(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    always = [lambda: scene.pods.update("default", "a", phased("x"))] * ATTEMPTS_MAX
    with pytest.raises(Conflict, match=f"{ATTEMPTS_MAX} times"):
        await overtaken(scene, *always).update("default", "a", moved_to("n2"))
    with pytest.raises(Conflict, match=f"{ATTEMPTS_MAX} times"):
        await overtaken(scene, *always).delete("default", "a")


async def test_an_update_that_a_deletion_overtook_finds_nothing(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    pods = overtaken(scene, lambda: scene.pods.delete("default", "a"))
    with pytest.raises(NotFound):
        await pods.update("default", "a", phased("x"))


async def test_update_and_delete_of_an_absent_object(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.pods.update("default", "a", phased("x"))
    assert not await scene.pods.delete("default", "a")


async def test_delete_tells_that_there_was_one(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    assert await scene.pods.delete("default", "a")
    with pytest.raises(NotFound):
        await scene.pods.get("default", "a")


async def test_delete_of_another_version_is_a_conflict(scene: Scene) -> None:
    created = await scene.pods.create(pod("a"))
    other = ResourceVersion(created.metadata.resource_version + 1)
    with pytest.raises(Conflict):
        await scene.pods.delete("default", "a", expected=other)
    seen = created.metadata.resource_version
    assert await scene.pods.delete("default", "a", expected=seen)


async def test_an_object_with_finalizers_goes_when_the_last_is_removed(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    await scene.pods.update("default", "a", finalized("example.com/volume"))
    assert await scene.pods.delete("default", "a")
    present = await scene.pods.get("default", "a")
    assert present.metadata.deletion_timestamp == "2026-01-01T00:00:00Z"
    await scene.pods.update("default", "a", finalized())
    with pytest.raises(NotFound):
        await scene.pods.get("default", "a")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b'{"metadata":{}}',
        b'{"metadata":{"name":"other"}}',
        b'{"metadata":{"name":"a","namespace":"other"}}',
        b'{"metadata":{"name":"a","labels":{"x":1}}}',
    ],
)
async def test_an_unreadable_row_is_told_counted_and_can_be_deleted(
    scene: Scene, value: bytes
) -> None:
    await scene.put("/decube/pods/default/a", value)
    with pytest.raises(Corrupt, match="stored pod default/a is unreadable"):
        await scene.pods.get("default", "a")
    with pytest.raises(Corrupt):
        await scene.pods.update("default", "a", phased("x"))
    with pytest.raises(AlreadyExists):
        await scene.pods.create(pod("a"))
    assert scene.unreadable() == 2
    assert await scene.pods.delete("default", "a")
    assert not await scene.pods.delete("default", "a")
    await scene.pods.create(pod("a"))


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("default", "UPPER"), ("default", "a_b c"), ("default", "x" * 300), ("Odd", "a")],
)
async def test_a_row_that_no_object_can_be_called_by_can_be_deleted(
    scene: Scene, namespace: str, name: str
) -> None:
    await scene.put(f"/decube/pods/{namespace}/{name}", b"x")
    assert await scene.pods.delete(namespace, name)
    # Where there is none such, what is wrong with the name is told.
    with pytest.raises(Invalid, match="is not a DNS-1123"):
        await scene.pods.delete(namespace, name)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 1025, "\udcff"])
async def test_what_is_no_part_of_a_key_is_not_looked_for(scene: Scene, name: str) -> None:
    with pytest.raises(Invalid):
        await scene.pods.delete("default", name)
