"""Bodies that are no pod: what they are told, and that nothing is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.rest.test_pods import PODS, create, refusal

if TYPE_CHECKING:
    from tests.support.api import RestApi

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"", 1, 1),
        (b'{"name":"a"', 1, 12),
        (b'{"name":"a"}x', 1, 13),
        (b'{"name":\n "a",\n oops}', 3, 2),
        (b"nul", 1, 4),
        (b"\xef\xbb\xbf{}", 1, 1),
        (b"{'name': 'a'}", 1, 2),
    ],
)
async def test_what_is_not_json_is_told_where(
    api: RestApi, body: bytes, line: int, column: int
) -> None:
    answer = await api.client.post(PODS, content=body, headers=JSON)
    error = refusal(answer, 400, "invalid")
    assert f"line {line}, column {column}" in error["message"]
    assert isinstance(error["details"]["position"], int)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name":"a","name":"b"}', "name"),
        (b'{"name":"a","labels":{"x":"1","y":"2","x":"1"}}', "x"),
        (b'{"name":"a","status":"1","st\\u0061tus":"2"}', "status"),
    ],
)
async def test_a_key_that_is_given_twice_is_refused_by_name(
    api: RestApi, body: bytes, name: str
) -> None:
    answer = await api.client.post(PODS, content=body, headers=JSON)
    error = refusal(answer, 400, "invalid")
    assert error["message"] == f"'{name}' is given twice"
    assert error["details"]["field"] == name
    assert (await api.client.get(PODS)).json()["count"] == 0


async def test_bytes_that_are_not_utf_8_are_refused(api: RestApi) -> None:
    answer = await api.client.post(PODS, content=b'{"name":"\xff"}', headers=JSON)
    assert "UTF-8" in refusal(answer, 400, "invalid")["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"name": "a", "labels": []}, "labels"),
        ({"name": "a", "labels": None}, "labels"),
        ({"name": "a", "labels": {"x": "1", "y": 2}}, "labels.y"),
        ({"name": "a", "annotations": {"x": {"y": "z"}}}, "annotations.x"),
        ({"name": "a", "generation": "1"}, "generation"),
        ([], "$"),
        ("text", "$"),
        (7, "$"),
        ({"name": "a", "spec": {}}, "spec"),
    ],
)
async def test_another_shape_names_the_field(api: RestApi, body: object, field: str) -> None:
    error = refusal(await api.client.post(PODS, json=body), 422, "invalid")
    assert error["details"]["field"] == field


@pytest.mark.parametrize(
    ("wrong", "right"), [("nmae", "name"), ("nodename", "node_name"), ("label", "labels")]
)
async def test_an_unknown_field_is_told_the_one_that_was_meant(
    api: RestApi, wrong: str, right: str
) -> None:
    await create(api, "a")
    for answer in (
        await api.client.post(PODS, json={"name": "b", wrong: "x"}),
        await api.client.put(f"{PODS}/a", json={wrong: "x"}),
    ):
        error = refusal(answer, 422, "invalid")
        assert error["details"]["field"] == wrong
        assert f"did you mean {right}?" in error["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "A_b"}, "name"),
        ({"name": "x" * 254}, "name"),
        ({"name": "a", "namespace": "a.b"}, "namespace"),
        ({"name": "a", "namespace": "*"}, "namespace"),
        ({"name": "a", "node_name": "-"}, "node_name"),
        ({"name": "a", "status": "\n"}, "status"),
        ({"name": "a", "labels": {"-": "x"}}, "labels"),
        ({"name": "a", "labels": {"app": "?"}}, "labels.app"),
        ({"name": "a", "annotations": {"": "x"}}, "annotations"),
        ({"name": "a", "annotations": {"x": "y" * 300_000}}, "annotations"),
    ],
)
async def test_a_broken_rule_names_the_field(
    api: RestApi, body: dict[str, object], field: str
) -> None:
    error = refusal(await api.client.post(PODS, json=body), 400, "invalid")
    assert error["details"]["field"] == field
    assert (await api.client.get(PODS, params={"namespace": "*"})).json()["count"] == 0


async def test_a_bad_name_in_the_url_is_refused(api: RestApi) -> None:
    error = refusal(await api.client.get(f"{PODS}/A_b"), 400, "invalid")
    assert error["details"]["field"] == "name"


@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "text/json"]
)
async def test_another_media_type_is_refused(api: RestApi, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = await api.client.post(PODS, content=b'{"name":"a"}', headers=headers)
    error = refusal(answer, 415, "unsupported_media_type")
    assert "application/json" in error["message"]


async def test_a_charset_beside_the_media_type_is_fine(api: RestApi) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await api.client.post(PODS, content=b'{"name":"a"}', headers=headers)
    assert answer.status_code == 201


async def test_a_body_above_the_limit_is_refused(api: RestApi) -> None:
    body = b'{"name":"a","status":"' + b"x" * (1024 * 1024) + b'"}'
    error = refusal(await api.client.post(PODS, content=body, headers=JSON), 413, "too_large")
    assert error["details"]["limit_bytes"] == 1024 * 1024


async def test_a_body_above_the_limit_in_chunks_is_refused(api: RestApi) -> None:
    async def chunks():  # type: ignore[no-untyped-def] # noqa: ANN202
        for _ in range(40):
            yield b"x" * 32_768

    answer = await api.client.post(PODS, content=chunks(), headers=JSON)
    refusal(answer, 413, "too_large")


async def test_a_deeply_nested_body_is_refused(api: RestApi) -> None:
    body = b'{"labels":' + b'{"a":' * 50_000
    answer = await api.client.post(PODS, content=body, headers=JSON)
    assert answer.status_code in {400, 422}
