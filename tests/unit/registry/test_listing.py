from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.registry.conftest import Scene, pod

from decube.kit.errors import Compacted, Invalid
from decube.model.names import Namespace
from decube.model.selector_text import parse_selector
from decube.registry import listing
from decube.registry.listing import (
    PAGE_LIMIT_DEFAULT,
    PAGE_LIMIT_MAX,
    UNREADABLE_NAME_LENGTH_MAX,
    ListQuery,
    Page,
)
from decube.store.types import Revision

if TYPE_CHECKING:
    from decube.model.pod import Pod

DEFAULT = Namespace("default")


def names(page: Page[Pod]) -> list[str]:
    return [f"{item.metadata.namespace}/{item.metadata.name}" for item in page.items]


async def pages(scene: Scene, query: ListQuery) -> list[Page[Pod]]:
    read = [await scene.pods.list(query)]
    while token := read[-1].continue_token:
        assert len(read) < 1000
        following = ListQuery(
            namespace=query.namespace,
            selector=query.selector,
            limit=query.limit,
            continue_token=token,
        )
        read.append(await scene.pods.list(following))
    return read


async def test_an_empty_list_is_empty_and_has_a_version(scene: Scene) -> None:
    page = await scene.pods.list(ListQuery(namespace=DEFAULT))
    assert page.items == ()
    assert page.continue_token == ""
    assert page.resource_version > 0


async def test_a_namespace_does_not_show_that_of_another_whose_name_it_begins(
    scene: Scene,
) -> None:
    for namespace in ("team", "team-a", "teams"):
        await scene.pods.create(pod("p", namespace))
    assert names(await scene.pods.list(ListQuery(namespace=Namespace("team")))) == ["team/p"]
    everywhere = await scene.pods.list(ListQuery(namespace=None))
    assert names(everywhere) == ["team-a/p", "team/p", "teams/p"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_together_are_the_list(scene: Scene, limit: int) -> None:
    for number in range(7):
        await scene.pods.create(pod(f"p{number}"))
    read = await pages(scene, ListQuery(namespace=DEFAULT, limit=limit))
    assert [name for page in read for name in names(page)] == [
        f"default/p{number}" for number in range(7)
    ]
    assert all(len(page.items) <= limit for page in read)


async def test_pages_show_the_moment_of_the_first(scene: Scene) -> None:
    for number in range(4):
        await scene.pods.create(pod(f"p{number}"))
    first = await scene.pods.list(ListQuery(namespace=DEFAULT, limit=2))
    await scene.pods.delete("default", "p3")
    await scene.pods.create(pod("p9"))
    token = first.continue_token
    rest = await scene.pods.list(ListQuery(namespace=DEFAULT, limit=2, continue_token=token))
    assert names(rest) == ["default/p2", "default/p3"]
    assert rest.resource_version == first.resource_version
    assert rest.continue_token == ""


async def test_a_selector_fills_pages_with_what_it_selects(scene: Scene) -> None:
    for number in range(10):
        await scene.pods.create(pod(f"p{number}", odd=str(number % 2)))
    query = ListQuery(namespace=DEFAULT, selector=parse_selector("odd=1"), limit=2)
    read = await pages(scene, query)
    assert [name for page in read for name in names(page)] == [
        f"default/p{number}" for number in (1, 3, 5, 7, 9)
    ]
    assert len(read[0].items) == 2


async def test_a_page_ends_when_enough_rows_were_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_ROWS_READ_MAX", 4)
    for number in range(10):
        await scene.pods.create(pod(f"p{number}", last=str(number == 9)))
    query = ListQuery(namespace=DEFAULT, selector=parse_selector("last=True"))
    read = await pages(scene, query)
    assert [len(page.items) for page in read] == [0, 0, 1]


async def test_a_page_ends_when_it_is_big_enough(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        await scene.pods.create(pod(f"p{number}"))
    monkeypatch.setattr(listing, "PAGE_BYTES_MAX", 300)
    read = await pages(scene, ListQuery(namespace=DEFAULT))
    assert len(read) > 1
    assert sum(len(page.items) for page in read) == 6


async def test_more_objects_than_one_read_of_the_store_takes(scene: Scene) -> None:
    for number in range(200):
        await scene.pods.create(pod(f"p{number:03}"))
    page = await scene.pods.list(ListQuery(namespace=DEFAULT, limit=150))
    assert len(page.items) == 150
    assert page.continue_token


async def test_a_list_that_was_compacted_says_so(scene: Scene) -> None:
    for number in range(4):
        await scene.pods.create(pod(f"p{number}"))
    first = await scene.pods.list(ListQuery(namespace=DEFAULT, limit=2))
    await scene.pods.create(pod("p9"))
    await scene.store.compact(Revision(first.resource_version + 1))
    token = first.continue_token
    with pytest.raises(Compacted, match="list anew"):
        await scene.pods.list(ListQuery(namespace=DEFAULT, limit=2, continue_token=token))


async def test_unreadable_rows_are_left_out_and_counted(scene: Scene) -> None:
    await scene.pods.create(pod("a"))
    await scene.put("/decube/pods/default/b", b"garbage")
    await scene.put("/decube/pods/default/c/d", b"{}")
    await scene.pods.create(pod("e"))
    page = await scene.pods.list(ListQuery(namespace=DEFAULT))
    assert names(page) == ["default/a", "default/e"]
    assert page.unreadable == 2
    assert len(page.unreadable_names) == 2
    assert scene.unreadable() == 2


async def test_a_token_is_refused_with_another_list(scene: Scene) -> None:
    for number in range(4):
        await scene.pods.create(pod(f"p{number}"))
    first = await scene.pods.list(ListQuery(namespace=DEFAULT, limit=2))
    for other in (
        ListQuery(namespace=None, continue_token=first.continue_token),
        ListQuery(namespace=Namespace("team"), continue_token=first.continue_token),
        ListQuery(
            namespace=DEFAULT,
            selector=parse_selector("a=b"),
            continue_token=first.continue_token,
        ),
    ):
        with pytest.raises(Invalid, match="belongs to another list") as refused:
            await scene.pods.list(other)
        assert refused.value.field == "continue"


@pytest.mark.parametrize("limit", [-1, PAGE_LIMIT_MAX + 1])
async def test_a_limit_out_of_bounds_is_refused(scene: Scene, limit: int) -> None:
    with pytest.raises(Invalid, match=str(PAGE_LIMIT_DEFAULT)) as refused:
        await scene.pods.list(ListQuery(namespace=DEFAULT, limit=limit))
    assert refused.value.field == "limit"


async def test_the_first_of_the_unreadable_rows_are_named(scene: Scene) -> None:
    for number in range(5):
        await scene.put(f"/decube/pods/default/ROW-{number}", b"x")
    page = await scene.pods.list(ListQuery(namespace=None))
    assert page.unreadable == 5
    assert page.unreadable_names == ("default/ROW-0", "default/ROW-1", "default/ROW-2")


async def test_an_unreadable_row_is_named_as_its_key_is_if_that_is_not_endless(
    scene: Scene,
) -> None:
    await scene.put("/decube/pods/" + "l" * UNREADABLE_NAME_LENGTH_MAX + "o", b"x")
    for rest in ("a\\b", "no-name", "no-name/"):
        await scene.put(f"/decube/pods/{rest}", b"x")
    page = await scene.pods.list(ListQuery(namespace=None))
    assert page.unreadable == 4
    assert page.unreadable_names == (r"a\x5cb", "no-name", "no-name/")
