"""What a standby has, answers itself, and has its primary do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import httpx2
import pytest
from tests.support.replicas import wait_until

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import LeaseStub

if TYPE_CHECKING:
    from tests.support.replicas import Replica, Replicas

PODS = "/api/v1/pods"


def rest(node: Replica) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://{node.rest_address}", timeout=20)


def has_primary(node: Replica) -> bool:
    """Tell whether a standby knows its primary, and where it is."""
    primary = node.state()["primary"]
    return primary is not None and primary["rest_address"] != ""


async def test_a_standby_gets_keys_leases_and_compactions(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    with a.channel() as channel:
        LeaseStub(channel).LeaseGrant(pb.LeaseGrantRequest(ID=7, TTL=600))
    for number in range(50):
        revision = a.put(f"key{number % 10}", str(number))
    await two.wait_until_equal()
    assert b.get("key9") == "49"
    with b.channel() as channel:
        leases = LeaseStub(channel).LeaseLeases(pb.LeaseLeasesRequest()).leases
        assert [lease.ID for lease in leases] == [7]
    assert b.hash_kv()[1] == revision


async def test_all_nodes_tell_their_part(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    await wait_until(lambda: has_primary(b), two.told)
    async with rest(a) as primary, rest(b) as standby:
        of_a = (await primary.get("/node/info")).json()
        of_b = (await standby.get("/node/info")).json()
        health = (await standby.get("/health")).json()
    assert (of_a["role"], of_a["is_leader"], of_a["leader_addr"]) == (
        "primary",
        True,
        a.rest_address,
    )
    assert (of_b["role"], of_b["is_leader"], of_b["leader_addr"]) == (
        "standby",
        False,
        a.rest_address,
    )
    assert (health["role"], health["is_leader"]) == ("standby", False)
    assert b.state()["primary"]["etcd_address"] == a.etcd_address
    (peer,) = a.state()["peers"]
    assert (peer["node_id"], peer["role"], peer["connected"]) == ("b", "standby", True)


async def test_any_node_can_be_asked_to_write(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    await wait_until(lambda: has_primary(b), two.told)
    revision = b.put("by the etcd port", "of the standby")
    assert a.get("by the etcd port") == "of the standby"
    async with rest(b) as standby, rest(a) as primary:
        created = await standby.post(PODS, json={"name": "web"})
        assert created.status_code == 201, created.text
        assert int(created.json()["pod"]["resource_version"]) == revision + 1
        assert (await standby.get(f"{PODS}/web")).status_code == 200
        assert (await primary.get(f"{PODS}/web")).status_code == 200
    await two.wait_until_equal()
    async with rest(b) as standby:
        local = await standby.get(f"{PODS}/web", params={"consistency": "local"})
        assert local.json()["pod"]["resource_version"] == str(revision + 1)


async def test_while_its_primary_is_away_a_standby_reads_and_refuses_to_write(
    two: Replicas,
) -> None:
    a, b = two["a"], two["b"]
    a.put("key", "value")
    await two.wait_until_equal()
    await wait_until(lambda: has_primary(b), two.told)
    a.kill()
    assert b.get("key") == "value"
    with pytest.raises(grpc.RpcError) as refused:
        b.put("key", "other")
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
    async with rest(b) as standby:
        answer = await standby.post(PODS, json={"name": "web"})
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "not_leader"
        assert answer.json()["error"]["details"]["leader"] == a.rest_address
        listed = await standby.get(PODS, params={"consistency": "local"})
        assert listed.json()["count"] == 0
    await two.start("a")
    await wait_until(lambda: has_primary(b), two.told)
    assert await asyncio.to_thread(b.put, "key", "other") > 0
