"""The routes of leases: what they answer, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.stores import take_events

from decube.store.types import KeyRange, Revision, WatchRequest

if TYPE_CHECKING:
    import httpx2
    from tests.support.api import RestApi

LEASES = "/api/v1/leases"
ABSENT = f"{LEASES}/lease-0000000000000043"


async def create(api: RestApi, holder: str = "a", **fields: object) -> dict[str, Any]:
    answer = await api.client.post(LEASES, json={"holder": holder, **fields})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["success"] is True
    lease: dict[str, Any] = body["lease"]
    return lease


def refusal(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    return error


async def test_the_originals_example_works(api: RestApi) -> None:
    body = {"holder": "scheduler-1", "ttl_seconds": 30, "metadata": {"purpose": "leader-election"}}
    lease = await create(api, **body)
    assert {name: lease[name] for name in body} == body
    found = (await api.client.get(f"{LEASES}/{lease['id']}")).json()
    assert found["found"] is True
    assert found["lease"]["fencing_token"] == lease["fencing_token"]
    listed = (await api.client.get(LEASES)).json()
    assert (listed["count"], [one["id"] for one in listed["leases"]]) == (1, [lease["id"]])


async def test_no_leases_are_an_empty_list(api: RestApi) -> None:
    listed = (await api.client.get(LEASES)).json()
    assert (listed["leases"], listed["count"], listed["continue"]) == ([], 0, "")


async def test_a_lease_that_runs_out_is_gone_and_was_seen_to_go(api: RestApi) -> None:
    lease = await create(api, ttl_seconds=2, name="leader")
    keys = KeyRange.prefix(b"/decube/lease")
    request = WatchRequest(range=keys, start_revision=Revision(lease["fencing_token"] + 1))
    async with api.store.watch(request) as batches:
        events = await take_events(batches, 2)
    assert {event.kv.key.decode() for event in events if event.deleted} == {
        f"/decube/leases/default/{lease['id']}",
        "/decube/lease-names/leader",
    }
    path = f"{LEASES}/{lease['id']}"
    refusal(await api.client.get(path), 404, "not_found")
    refusal(await api.client.post(f"{path}/renew"), 404, "not_found")
    refusal(await api.client.post(f"{path}/renew", json={"ttl_seconds": 60}), 404, "not_found")
    assert (await api.client.delete(path)).json() == {"deleted": False}


async def test_a_name_that_another_holds_is_refused_with_holder_and_end(api: RestApi) -> None:
    held = await create(api, "a", name="leader", ttl_seconds=60)
    answer = await api.client.post(LEASES, json={"holder": "b", "name": "leader"})
    error = refusal(answer, 409, "already_exists")
    assert error["message"].startswith("lease name leader is held by a until 2")
    details = error["details"]
    assert (details["holder"], details["id"], details["name"]) == ("a", held["id"], "leader")
    assert details["expires_at"].endswith("Z")


async def test_the_holder_of_a_name_gets_its_lease_again(api: RestApi) -> None:
    first = await create(api, "a", name="leader")
    answer = await api.client.post(LEASES, json={"holder": "a", "name": "leader"})
    assert answer.status_code == 200
    again = answer.json()["lease"]
    assert (again["id"], again["fencing_token"]) == (first["id"], first["fencing_token"])


@pytest.mark.parametrize("sent", [{}, {"json": {}}, {"json": {"ttl_seconds": 0}}])
async def test_a_renewal_without_a_ttl_keeps_it(api: RestApi, sent: dict[str, Any]) -> None:
    lease = await create(api, ttl_seconds=40)
    answer = await api.client.post(f"{LEASES}/{lease['id']}/renew", **sent)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert answer.json()["lease"]["ttl_seconds"] == 40


async def test_a_renewal_with_a_ttl_sets_it_and_keeps_the_id(api: RestApi) -> None:
    lease = await create(api, name="leader")
    path = f"{LEASES}/{lease['id']}"
    renewed = (await api.client.post(f"{path}/renew", json={"ttl_seconds": 90})).json()["lease"]
    assert renewed["ttl_seconds"] == 90
    assert (await api.client.get(path)).json()["lease"]["id"] == lease["id"]
    assert (await api.client.delete(path)).json() == {"deleted": True}
    assert await api.store.leases() == ()


async def test_lists_are_filtered_and_paged(api: RestApi) -> None:
    ids = sorted([(await create(api, "a"))["id"] for _ in range(3)])
    await create(api, "b", name="leader")
    query = {"holder": "a", "limit": "2"}
    first = (await api.client.get(LEASES, params=query)).json()
    rest = await api.client.get(LEASES, params={**query, "continue": first["continue"]})
    assert [one["id"] for one in first["leases"] + rest.json()["leases"]] == ids
    assert rest.json()["continue"] == ""
    named = (await api.client.get(LEASES, params={"name": "leader"})).json()["leases"]
    assert [one["holder"] for one in named] == ["b"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "holder"),
        ({"holder": "a", "ttl_seconds": 1}, 400, "ttl_seconds"),
        ({"holder": "a", "ttl_seconds": -5}, 400, "ttl_seconds"),
        ({"holder": "a", "ttl_seconds": 10**18}, 400, "ttl_seconds"),
        ({"holder": "a", "ttl_seconds": "30"}, 422, "ttl_seconds"),
        ({"holder": "a", "name": "Not one"}, 400, "name"),
        ({"holder": "a", "metadata": {"": "x"}}, 400, "metadata"),
        ({"holder": "a", "metadata": {"a": 1}}, 422, "metadata.a"),
        ({"holder": "a", "ttl": 30}, 422, "ttl"),
    ],
)
async def test_what_is_wrong_is_named(
    api: RestApi, body: dict[str, Any], status: int, field: str
) -> None:
    error = refusal(await api.client.post(LEASES, json=body), status, "invalid")
    assert error["details"]["field"] == field
    assert await api.store.leases() == ()


async def test_a_ttl_out_of_bounds_is_refused_to_a_renewal(api: RestApi) -> None:
    lease = await create(api)
    answer = await api.client.post(f"{LEASES}/{lease['id']}/renew", json={"ttl_seconds": 1})
    assert refusal(answer, 400, "invalid")["details"]["field"] == "ttl_seconds"


@pytest.mark.parametrize(("method", "path"), [("GET", ABSENT), ("POST", f"{ABSENT}/renew")])
async def test_an_unknown_lease_is_not_found(api: RestApi, method: str, path: str) -> None:
    error = refusal(await api.client.request(method, path), 404, "not_found")
    assert "lease-0000000000000043" in error["message"]
    assert (await api.client.delete(ABSENT)).json() == {"deleted": False}
