from __future__ import annotations

import json
from typing import Any

import pytest
from litestar.exceptions import HTTPException, InternalServerException

from decube.api.rest.errors import Problem, error_answer
from decube.kit.errors import (
    ANSWERS,
    Compacted,
    DecubeError,
    Exhausted,
    NotLeader,
    TooLarge,
    Unavailable,
)
from decube.store.limits import QUOTA, QUOTA_HINT


def told(error: Exception) -> tuple[int, dict[str, Any], dict[bytes, bytes]]:
    answer = error_answer(error, 1024, "request-1")
    body = json.loads(answer.body)
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message", "details"}
    return answer.status, body["error"], dict(answer.headers)


def made(kind: type[DecubeError]) -> DecubeError:
    if kind is Compacted:
        return Compacted("what", compact_revision=7)
    if kind is TooLarge:
        return TooLarge("what", limit_bytes=7)
    return kind("what")


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_kind_is_told_with_its_status_and_code(kind: type[DecubeError]) -> None:
    status, error, headers = told(made(kind))
    assert status == ANSWERS[kind].http_status
    assert (error["code"], error["message"]) == (kind.code, "what")
    assert (b"retry-after" in headers) == (status in (429, 503))


def test_an_unavailable_store_tells_when_to_retry() -> None:
    _, _, headers = told(Unavailable("what", retry_after_s=2.3))
    assert headers[b"retry-after"] == b"3"


def test_a_full_quota_asks_nobody_to_retry() -> None:
    full = Exhausted("what", reason=QUOTA, hint=QUOTA_HINT)
    status, error, headers = told(full)
    assert (status, error["code"]) == (429, "exhausted")
    assert error["details"] == {"reason": "quota", "hint": QUOTA_HINT}
    assert b"retry-after" not in headers


def test_a_standby_tells_its_leader() -> None:
    status, error, _ = told(NotLeader("what", leader="10.0.0.1:8080"))
    assert (status, error["details"]) == (503, {"leader": "10.0.0.1:8080"})


def test_a_defect_tells_its_request_id_and_nothing_of_itself() -> None:
    for defect in (ValueError("secret"), InternalServerException("secret")):
        status, error, _ = told(defect)
        assert (status, error["code"]) == (500, "internal")
        assert error["details"] == {"request_id": "request-1"}
        assert "secret" not in error["message"]


def test_a_client_that_left_is_no_defect() -> None:
    assert told(InternalServerException("client disconnected prematurely"))[0] == 400


def test_a_problem_and_a_refusal_of_the_framework_keep_their_status() -> None:
    assert told(Problem(415, "unsupported_media_type", "what", field="x"))[0] == 415
    assert told(HTTPException("what", status_code=400))[1]["code"] == "invalid"
