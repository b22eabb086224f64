from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.stores import embedded

from decube.kit.errors import Conflict, Invalid
from decube.services.pods import PodChange, PodDraft, PodService
from decube.services.pods.service import listed_namespace, parse_resource_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def pods() -> AsyncIterator[PodService]:
    async with embedded() as store:
        yield PodService(store)


async def test_an_empty_namespace_is_the_default_one(pods: PodService) -> None:
    created = await pods.create(PodDraft(name="a", namespace=""))
    assert created.metadata.namespace == "default"
    assert await pods.get("", "a") == created
    assert await pods.delete("", "a")


async def test_an_update_sets_what_is_given_and_keeps_the_rest(pods: PodService) -> None:
    await pods.create(
        PodDraft(name="a", status="new", node_name="n1", labels={"a": "1"}, annotations={"b": "2"})
    )
    updated = await pods.update("default", "a", PodChange(status="running", labels={"c": "3"}))
    assert updated.status.phase == "running"
    assert updated.spec.node_name == "n1"
    assert updated.metadata.labels == {"c": "3"}
    assert updated.metadata.annotations == {"b": "2"}


async def test_given_emptiness_is_set_too(pods: PodService) -> None:
    await pods.create(PodDraft(name="a", status="new", node_name="n1", labels={"a": "1"}))
    updated = await pods.update("default", "a", PodChange(status="", node_name="", labels={}))
    assert (updated.status.phase, updated.spec.node_name) == ("", "")
    assert updated.metadata.labels == {}


async def test_a_resource_version_makes_writes_conditional(pods: PodService) -> None:
    created = await pods.create(PodDraft(name="a"))
    seen = str(created.metadata.resource_version)
    await pods.update("default", "a", PodChange(status="x"), resource_version=seen)
    with pytest.raises(Conflict):
        await pods.update("default", "a", PodChange(status="y"), resource_version=seen)
    with pytest.raises(Conflict):
        await pods.delete("default", "a", resource_version=seen)


async def test_delete_tells_whether_there_was_one(pods: PodService) -> None:
    await pods.create(PodDraft(name="a"))
    assert await pods.delete("default", "a")
    assert not await pods.delete("default", "a")


def test_a_star_is_all_namespaces_of_a_list() -> None:
    assert listed_namespace("*") is None
    assert listed_namespace("") == "default"
    with pytest.raises(Invalid):
        listed_namespace("**")


@pytest.mark.parametrize("text", ["x", "-1", "1.0", " 1", "9223372036854775808", "1" * 5000, "²"])
def test_another_text_is_no_resource_version(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_resource_version(text)
    assert refused.value.field == "resource_version"
