"""Leases across a restart of the node: they keep what is left of their time, and no more."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.support.waiting import WAIT_S_MAX

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

LEASES = "/api/v1/leases"
TTL_S = 600
TELLING_ERROR = timedelta(seconds=1)


def end_of(lease: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(lease["expires_at"])


@pytest.mark.parametrize("how", ["kill", pytest.param("stop", marks=pytest.mark.slow)])
async def test_a_restart_keeps_the_time_that_is_left(node: NodeProcess, how: str) -> None:
    node.ensure_started()
    async with httpx2.AsyncClient(base_url=f"http://{node.rest_address}", timeout=60) as client:

        async def get(lease: str) -> httpx2.Response:
            return await client.get(f"{LEASES}/{lease}")

        async def create(**fields: object) -> dict[str, Any]:
            body = {"holder": "a", **fields}
            lease: dict[str, Any] = (await client.post(LEASES, json=body)).json()["lease"]
            return lease

        kept = await create(ttl_seconds=TTL_S, name="leader")
        short = await create(ttl_seconds=3)
        # So much of its time is over that the whole TTL from the restart on would be seen.
        async with asyncio.timeout(WAIT_S_MAX):
            while (await get(short["id"])).status_code == 200:  # noqa: ASYNC110 - it runs out
                await asyncio.sleep(0.05)
        ending = await create(ttl_seconds=2)
        getattr(node, how)()
        node.ensure_started()
        found = (await get(kept["id"])).json()["lease"]
        assert abs(end_of(found) - end_of(kept)) <= TELLING_ERROR
        assert found["fencing_token"] == kept["fencing_token"]
        refused = await client.post(LEASES, json={"holder": "b", "name": "leader"})
        assert refused.status_code == 409
        async with asyncio.timeout(WAIT_S_MAX):
            while (await get(ending["id"])).status_code == 200:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
        renewed = (await client.post(f"{LEASES}/{kept['id']}/renew")).json()["lease"]
        assert end_of(renewed) > end_of(kept)
