"""A watch over REST: what its lines say, how it is resumed, and how it ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.integration.rest.test_pods import PODS, create, refusal
from tests.support.api import ANY_PORT, WAIT_S_MAX, rest_api

from decube.api.rest import RestOptions
from decube.store.types import Revision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.api import RestApi

BOOKMARKS = RestOptions(listen=ANY_PORT, bookmark_interval_s=0.05)


class Lines:
    """The lines of one watch."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> dict[str, Any] | None:
        async with asyncio.timeout(WAIT_S_MAX):
            line = await anext(self._lines, None)
        return None if line is None else json.loads(line)

    async def until(self, line_type: str) -> dict[str, Any]:
        while (line := await self.next()) is not None:
            if line["type"] == line_type:
                return line
        raise AssertionError(f"the watch ended without {line_type}")

    async def changes(self, count: int) -> list[str]:
        found = []
        while len(found) < count:
            line = await self.next()
            assert line is not None
            if line["type"] != "BOOKMARK":
                found.append(f"{line['type']} {line['pod']['name']}")
        return found


@asynccontextmanager
async def watch(api: RestApi, **params: str) -> AsyncIterator[Lines]:
    query = {"watch": "true", **params}
    async with api.client.stream("GET", PODS, params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        yield Lines(answer.aiter_lines())


async def test_a_watch_begins_with_the_present_and_a_bookmark(api: RestApi) -> None:
    pod = await create(api, "a", status="running")
    async with watch(api) as lines:
        version = pod["resource_version"]
        expected = {"type": "ADDED", "resource_version": version, "pod": pod}
        assert await lines.next() == expected
        assert await lines.next() == {"type": "BOOKMARK", "resource_version": version}
        await create(api, "b")
        assert await lines.changes(1) == ["ADDED b"]


async def test_every_change_is_a_line_in_order(api: RestApi) -> None:
    async with watch(api, resource_version="0") as lines:
        await lines.until("BOOKMARK")
        await create(api, "a")
        await api.client.put(f"{PODS}/a", json={"status": "running"})
        await api.client.delete(f"{PODS}/a")
        assert await lines.changes(3) == ["ADDED a", "MODIFIED a", "DELETED a"]


async def test_a_watch_is_resumed_without_loss_or_repetition(api: RestApi) -> None:
    async with watch(api) as lines:
        await lines.until("BOOKMARK")
        await create(api, "a")
        seen = (await lines.until("ADDED"))["resource_version"]
    await create(api, "b")
    await api.client.delete(f"{PODS}/a")
    async with watch(api, resource_version=seen) as lines:
        await create(api, "c")
        assert await lines.changes(3) == ["ADDED b", "DELETED a", "ADDED c"]


async def test_a_bookmark_resumes_past_what_was_not_selected() -> None:
    async with rest_api(BOOKMARKS) as api:
        created = await create(api, "a", labels={"tier": "web"})
        async with watch(api, label_selector="tier=web") as lines:
            other = await create(api, "b", labels={"tier": "db"})
            bookmark = await lines.until("BOOKMARK")
            while int(bookmark["resource_version"]) < int(other["resource_version"]):
                bookmark = await lines.until("BOOKMARK")
        last = int(other["resource_version"])
        await api.store.compact(Revision(last))
        version = bookmark["resource_version"]
        async with watch(api, label_selector="tier=web", resource_version=version) as lines:
            await api.client.delete(f"{PODS}/{created['name']}")
            assert await lines.changes(1) == ["DELETED a"]


async def test_an_idle_watch_is_kept_alive_by_bookmarks() -> None:
    async with rest_api(BOOKMARKS) as api:
        pod = await create(api, "a")
        async with watch(api, resource_version=pod["resource_version"]) as lines:
            for _ in range(3):
                line = await lines.until("BOOKMARK")
                assert line["resource_version"] == pod["resource_version"]


async def test_a_watch_from_a_compacted_version_is_gone(api: RestApi) -> None:
    first = await create(api, "a")
    last = await create(api, "b")
    await create(api, "c")
    await api.store.compact(Revision(int(last["resource_version"]) + 1))
    answer = await api.client.get(
        PODS, params={"watch": "true", "resource_version": first["resource_version"]}
    )
    refusal(answer, 410, "compacted")


async def test_a_watch_is_of_one_namespace_or_of_all(api: RestApi) -> None:
    async with watch(api, namespace="team") as team, watch(api, namespace="*") as everywhere:
        await team.until("BOOKMARK")
        await everywhere.until("BOOKMARK")
        await create(api, "a")
        await create(api, "b", namespace="team")
        assert await team.changes(1) == ["ADDED b"]
        assert await everywhere.changes(2) == ["ADDED a", "ADDED b"]


async def test_a_watch_ends_whole_when_the_server_stops(api: RestApi) -> None:
    async with watch(api) as lines:
        await lines.until("BOOKMARK")
        stopping = asyncio.create_task(api.server.stop(timeout_s=10 * WAIT_S_MAX))
        assert await lines.next() is None
        async with asyncio.timeout(WAIT_S_MAX):
            await stopping


async def test_a_store_that_closes_ends_the_watch_with_an_error_line(api: RestApi) -> None:
    async with watch(api) as lines:
        await lines.until("BOOKMARK")
        await api.store.close()
        error = (await lines.until("ERROR"))["error"]
        assert error["code"] == "closed"
        assert await lines.next() is None


async def test_a_store_that_is_closed_is_unavailable(api: RestApi) -> None:
    await api.store.close()
    answer = await api.client.get(f"{PODS}/a")
    refusal(answer, 503, "closed")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await api.client.get("/health")).status_code == 200


async def test_head_of_a_watch_tells_the_headers_and_watches_nothing(api: RestApi) -> None:
    answer = await api.client.head(PODS, params={"watch": "true"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert (await api.client.head(PODS, params={"watch": "x"})).status_code == 400
