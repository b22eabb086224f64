"""What the documented calls answer, over a real socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from decube.store.types import Put, Revision, Txn

if TYPE_CHECKING:
    import httpx2
    from tests.support.api import RestApi

PODS = "/api/v1/pods"


async def create(api: RestApi, name: str, **fields: object) -> dict[str, Any]:
    answer = await api.client.post(PODS, json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    pod: dict[str, Any] = answer.json()["pod"]
    return pod


def refusal(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is an error in the one shape; its error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"code", "message", "details"}
    assert error["code"] == code
    return error


async def test_the_pod_of_the_quick_start_is_created_and_found(api: RestApi) -> None:
    sent = {
        "name": "nginx-pod",
        "namespace": "default",
        "status": "running",
        "node_name": "node-1",
        "labels": {"app": "nginx", "version": "1.21"},
    }
    created = await api.client.post(PODS, json=sent)
    assert created.status_code == 201
    body = created.json()
    pod = body["pod"]
    assert body == {"pod": pod, "success": True}
    assert {name: pod[name] for name in sent} == sent
    assert pod["annotations"] == {}
    assert pod["created_at"] == pod["updated_at"]
    assert created.headers["etag"] == f'"{pod["resource_version"]}"'

    found = await api.client.get(f"{PODS}/nginx-pod")
    assert found.status_code == 200
    assert found.json() == {"pod": pod, "found": True}
    assert found.headers["etag"] == created.headers["etag"]


async def test_creating_an_existing_pod_tells_its_version(api: RestApi) -> None:
    pod = await create(api, "a")
    error = refusal(await api.client.post(PODS, json={"name": "a"}), 409, "already_exists")
    assert error["details"] == {"resource_version": pod["resource_version"]}


async def test_an_absent_pod_is_not_found(api: RestApi) -> None:
    error = refusal(await api.client.get(f"{PODS}/a"), 404, "not_found")
    assert error["message"] == "pod default/a not found"
    refusal(await api.client.put(f"{PODS}/a", json={}), 404, "not_found")


async def test_deleting_tells_whether_there_was_one(api: RestApi) -> None:
    await create(api, "a")
    assert (await api.client.delete(f"{PODS}/a")).json() == {"deleted": True}
    again = await api.client.delete(f"{PODS}/a")
    assert (again.status_code, again.json()) == (200, {"deleted": False})


async def test_an_update_merges_known_fields(api: RestApi) -> None:
    before = await create(api, "a", status="new", node_name="n1", labels={"x": "1", "y": "2"})
    answer = await api.client.put(f"{PODS}/a", json={"status": "running", "labels": {"z": "3"}})
    assert answer.status_code == 200
    pod = answer.json()["pod"]
    assert answer.json() == {"pod": pod, "success": True}
    assert pod["status"] == "running"
    assert pod["node_name"] == "n1"
    assert pod["labels"] == {"z": "3"}
    assert pod["uid"] == before["uid"]
    assert answer.headers["etag"] == f'"{pod["resource_version"]}"'


async def test_an_update_reaches_every_namespace(api: RestApi) -> None:
    await create(api, "a")
    await create(api, "a", namespace="team")
    for body in ({"status": "x"}, {"status": "x", "namespace": "team"}):
        answer = await api.client.put(f"{PODS}/a", params={"namespace": "team"}, json=body)
        assert answer.status_code == 200
        assert answer.json()["pod"]["namespace"] == "team"
    assert (await api.client.get(f"{PODS}/a")).json()["pod"]["status"] == ""
    answer = await api.client.put(f"{PODS}/a", json={"namespace": ""})
    assert answer.status_code == 200


async def test_what_was_read_can_be_sent_back(api: RestApi) -> None:
    pod = await create(api, "a", status="new")
    assert (await api.client.put(f"{PODS}/a", json={**pod, "status": "x"})).status_code == 200
    stale = await api.client.put(f"{PODS}/a", json={**pod, "status": "y"})
    refusal(stale, 409, "conflict")


@pytest.mark.parametrize("how", ["header", "query", "body"])
async def test_a_conditional_update_happens_only_at_its_version(api: RestApi, how: str) -> None:
    pod = await create(api, "a")

    async def update(version: str, status: str) -> httpx2.Response:
        body = {"status": status}
        if how == "header":
            headers = {"If-Match": f'"{version}"'}
            return await api.client.put(f"{PODS}/a", json=body, headers=headers)
        if how == "query":
            where = {"resource_version": version}
            return await api.client.put(f"{PODS}/a", json=body, params=where)
        return await api.client.put(f"{PODS}/a", json={**body, "resource_version": version})

    first = await update(pod["resource_version"], "one")
    assert first.status_code == 200
    error = refusal(await update(pod["resource_version"], "two"), 409, "conflict")
    assert error["details"] == {"resource_version": first.json()["pod"]["resource_version"]}
    assert (await api.client.get(f"{PODS}/a")).json()["pod"]["status"] == "one"


async def test_a_conditional_delete_happens_only_at_its_version(api: RestApi) -> None:
    pod = await create(api, "a")
    other = {"If-Match": '"1"'}
    refusal(await api.client.delete(f"{PODS}/a", headers=other), 409, "conflict")
    same = {"If-Match": f'"{pod["resource_version"]}"'}
    assert (await api.client.delete(f"{PODS}/a", headers=same)).json() == {"deleted": True}


async def test_if_match_of_any_version_is_no_condition(api: RestApi) -> None:
    await create(api, "a")
    answer = await api.client.put(f"{PODS}/a", json={}, headers={"If-Match": "*"})
    assert answer.status_code == 200


@pytest.mark.parametrize("tag", ['"1', 'W/"1"', '"1", "2"', '"x"', '""'])
async def test_another_if_match_is_refused(api: RestApi, tag: str) -> None:
    answer = await api.client.put(f"{PODS}/a", json={}, headers={"If-Match": tag})
    assert refusal(answer, 400, "invalid")["details"]["field"] == "If-Match"


async def test_two_versions_that_differ_are_refused(api: RestApi) -> None:
    answer = await api.client.put(
        f"{PODS}/a", json={"resource_version": "1"}, headers={"If-Match": '"2"'}
    )
    assert refusal(answer, 400, "invalid")["details"]["field"] == "resource_version"


async def test_a_pod_keeps_its_name_and_namespace(api: RestApi) -> None:
    await create(api, "a")
    for field in ("name", "namespace"):
        answer = await api.client.put(f"{PODS}/a", json={field: "other"})
        assert refusal(answer, 400, "invalid")["details"]["field"] == field


async def test_a_pod_to_be_created_has_no_version(api: RestApi) -> None:
    answer = await api.client.post(PODS, json={"name": "a", "resource_version": "7"})
    assert refusal(answer, 400, "invalid")["details"]["field"] == "resource_version"


async def test_an_empty_list_is_empty_and_not_null(api: RestApi) -> None:
    body = (await api.client.get(PODS)).json()
    assert body["pods"] == []
    assert body["count"] == 0
    assert body["continue"] == ""


async def test_a_list_is_of_one_namespace_or_of_all(api: RestApi) -> None:
    await create(api, "a")
    await create(api, "b", namespace="team")
    for params, names in (
        ({}, ["a"]),
        ({"namespace": ""}, ["a"]),
        ({"namespace": "team"}, ["b"]),
        ({"namespace": "*"}, ["a", "b"]),
        ({"namespace": "none"}, []),
    ):
        body = (await api.client.get(PODS, params=params)).json()
        assert [pod["name"] for pod in body["pods"]] == names
        assert body["count"] == len(names)


async def test_a_list_selects_by_labels(api: RestApi) -> None:
    await create(api, "a", labels={"tier": "web"})
    await create(api, "b", labels={"tier": "db"})
    params = {"label_selector": "tier in (web, cache), !gpu"}
    body = (await api.client.get(PODS, params=params)).json()
    assert [pod["name"] for pod in body["pods"]] == ["a"]


async def test_a_list_is_followed_page_by_page_at_one_revision(api: RestApi) -> None:
    for number in range(5):
        await create(api, f"p{number}")
    names, versions, token = [], set(), ""
    while True:
        params = {"limit": "2", **({"continue": token} if token else {})}
        body = (await api.client.get(PODS, params=params)).json()
        await create(api, f"q{len(names)}")
        names += [pod["name"] for pod in body["pods"]]
        versions.add(body["resource_version"])
        token = body["continue"]
        if not token:
            break
    assert names == [f"p{number}" for number in range(5)]
    assert len(versions) == 1


async def test_a_page_of_a_compacted_list_is_gone(api: RestApi) -> None:
    for number in range(3):
        await create(api, f"p{number}")
    first = (await api.client.get(PODS, params={"limit": "2"})).json()
    last = await create(api, "p9")
    await api.store.compact(Revision(int(last["resource_version"])))
    params = {"limit": "2", "continue": first["continue"]}
    refusal(await api.client.get(PODS, params=params), 410, "compacted")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"label_selector": "a in"}, "label_selector"),
        ({"continue": "zzz"}, "continue"),
        ({"limit": "x"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "5001"}, "limit"),
        ({"namespace": "A"}, "namespace"),
        ({"watch": "perhaps"}, "watch"),
        ({"resource_version": "1"}, "resource_version"),
        ({"watch": "true", "limit": "1"}, "limit"),
        ({"watch": "true", "continue": "x"}, "continue"),
        ({"watch": "true", "resource_version": "x"}, "resource_version"),
        ({"watch": "true", "resource_version": "999999"}, "resource_version"),
        ({"lable_selector": "a"}, "lable_selector"),
    ],
)
async def test_a_bad_parameter_is_refused_by_name(
    api: RestApi, params: dict[str, str], field: str
) -> None:
    error = refusal(await api.client.get(PODS, params=params), 400, "invalid")
    assert error["details"]["field"] == field


async def test_a_misspelt_parameter_is_told_the_right_one(api: RestApi) -> None:
    error = refusal(await api.client.get(PODS, params={"lable_selector": "a"}), 400, "invalid")
    assert "did you mean label_selector?" in error["message"]


async def test_a_parameter_given_twice_is_refused(api: RestApi) -> None:
    answer = await api.client.get(f"{PODS}?namespace=a&namespace=b")
    assert "given twice" in refusal(answer, 400, "invalid")["message"]


async def test_many_concurrent_updates_are_all_merged(api: RestApi) -> None:
    await create(api, "a")
    answers = await asyncio.gather(
        *(api.client.put(f"{PODS}/a", json={"status": str(n)}) for n in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    versions = {answer.json()["pod"]["resource_version"] for answer in answers}
    assert len(versions) == 20


async def test_a_damaged_row_is_a_server_error_that_names_the_key(api: RestApi) -> None:
    await api.store.txn(Txn(success=(Put(b"/decube/pods/default/a", b"garbage"),)))
    error = refusal(await api.client.get(f"{PODS}/a"), 500, "corrupt")
    assert error["details"]["key"] == "/decube/pods/default/a"
    assert (await api.client.get(PODS)).json()["unreadable"] == 1
    assert (await api.client.delete(f"{PODS}/a")).json() == {"deleted": True}
    assert (await api.client.delete(f"{PODS}/a")).json() == {"deleted": False}


@pytest.mark.parametrize("name", ["UPPER", "a b", "it's", "h\xe9", "%41", "a?b#c", "*"])
async def test_a_row_with_a_name_that_no_pod_can_have_is_told_and_can_be_deleted(
    api: RestApi, name: str
) -> None:
    await api.store.txn(Txn(success=(Put(f"/decube/pods/default/{name}".encode(), b"x"),)))
    listed = (await api.client.get(PODS)).json()
    assert (listed["unreadable"], listed["unreadable_names"]) == (1, [f"default/{name}"])
    path = f"{PODS}/{quote(name, safe='')}"
    refusal(await api.client.get(path), 400, "invalid")
    assert (await api.client.delete(path)).json() == {"deleted": True}
    refusal(await api.client.delete(path), 400, "invalid")
    assert (await api.client.get(PODS)).json()["unreadable"] == 0


@pytest.mark.parametrize("consistency", ["strong", "local"])
async def test_a_read_says_whose_answer_it_wants(api: RestApi, consistency: str) -> None:
    await create(api, "a")
    wanted = {"consistency": consistency}
    assert (await api.client.get(f"{PODS}/a", params=wanted)).json()["found"]
    assert (await api.client.get(PODS, params=wanted)).json()["count"] == 1


@pytest.mark.parametrize("path", [PODS, f"{PODS}/a"])
async def test_an_unknown_consistency_is_refused(api: RestApi, path: str) -> None:
    answer = await api.client.get(path, params={"consistency": "eventual"})
    assert refusal(answer, 400, "invalid")["details"]["field"] == "consistency"
