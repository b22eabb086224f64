"""The routes of replication on a node that has no part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.api import RestApi

PATH = "/api/v1/replication"


async def test_a_node_without_a_role_says_so(api: RestApi) -> None:
    state = (await api.client.get(PATH)).json()
    assert (state["role"], state["term"], state["peers"]) == ("none", 0, [])
    assert state["revision"] == (await api.store.status()).revision


@pytest.mark.parametrize("command", ["promote", "demote"])
async def test_a_node_without_a_role_has_nothing_to_change(api: RestApi, command: str) -> None:
    answer = await api.client.post(f"{PATH}/{command}")
    assert answer.status_code == 409
    assert "replication.role" in answer.json()["error"]["message"]
