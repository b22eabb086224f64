"""What a standby has, answers itself, and has its primary do."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import grpc
import httpx2
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.support.cli import Cli
from tests.support.replicas import wait_until

from decube.pb.decube import decube_pb2
from decube.pb.decube.decube_pb2_grpc import DeCubeServiceStub
from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import LeaseStub, MaintenanceStub

if TYPE_CHECKING:
    from tests.support.replicas import Replica, Replicas

PODS = "/api/v1/pods"


def rest(node: Replica) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://{node.rest_address}", timeout=20)


# In the moment until a store has noticed that its primary is out of reach.
CALLS_MAX = 1_000


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
    assert (health["status"], health["role"], health["is_leader"]) == ("healthy", "standby", False)
    assert b.state()["primary"]["etcd_address"] == a.etcd_address
    (peer,) = a.state()["peers"]
    assert (peer["node_id"], peer["role"], peer["connected"]) == ("b", "standby", True)


async def test_the_primarys_alarm_is_told_by_its_standby_too(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    await wait_until(lambda: has_primary(b), two.told)
    with a.channel() as channel:
        alarm = pb.AlarmRequest(action=pb.AlarmRequest.ACTIVATE, alarm=pb.NOSPACE)
        MaintenanceStub(channel).Alarm(alarm)
    health = f"http://{b.rest_address}/health"
    await wait_until(lambda: httpx2.get(health, timeout=20).status_code == 503, two.told)
    assert httpx2.get(health, timeout=20).json()["reason"] == "ALARM NOSPACE"
    assert httpx2.get(f"{health}?exclude=NOSPACE", timeout=20).status_code == 200


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


async def test_a_call_waits_for_a_session_that_is_made_anew(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    await wait_until(lambda: has_primary(b), two.told)
    two.network("b", "a").reset()
    # Without giving way to the loop of this test: the network must not stand still with it.
    assert b.put("key", "value") > 0
    assert a.get("key") == "value"


async def test_a_write_waits_a_moment_for_a_primary_that_was_cut_off(two: Replicas) -> None:
    b = two["b"]
    await wait_until(lambda: has_primary(b), two.told)
    for network in (two.network("a", "b"), two.network("b", "a")):
        network.cut()
    await wait_until(lambda: b.state()["primary"] is None, two.told)
    async with rest(b) as standby:
        # The way of calls is not the peers': it is open until the store has noticed, too.
        for number in range(CALLS_MAX):
            writing = asyncio.create_task(standby.post(PODS, json={"name": f"web-{number}"}))
            done, _ = await asyncio.wait({writing}, timeout=0.5)
            if not done:
                break
            assert writing.result().status_code == 201, writing.result().text
        assert not done, "no call waited"
        for network in (two.network("a", "b"), two.network("b", "a")):
            network.heal()
        created = await writing
    assert created.status_code == 201, created.text


async def test_a_restore_on_a_standby_is_refused_with_the_primarys_address(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    await wait_until(lambda: has_primary(b), two.told)
    async with rest(b) as standby:
        created = await standby.post("/api/v1/snapshots", json={"name": "of the standby"})
        snapshot = created.json()["snapshot"]
        path = f"/api/v1/snapshots/{snapshot['id']}/restore"
        refused = await standby.post(path, json={})
        # One of the primary, whose location is another.
        of_other = "/api/v1/snapshots/snap-20260131T120000000Z-1f2e3d4c/restore"
        refused_of_other = await standby.post(of_other, json={})
    for answer in (refused, refused_of_other):
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["details"]["leader"] == a.rest_address
    with grpc.insecure_channel(b.grpc_address) as channel, pytest.raises(grpc.RpcError) as failed:
        DeCubeServiceStub(channel).RestoreSnapshot(
            decube_pb2.RestoreSnapshotRequest(snapshot_id=snapshot["id"]), timeout=20
        )
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION  # type: ignore[attr-defined]
    status = rpc_status.from_call(failed.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.metadata["leader"]) == ("not_leader", a.rest_address)


async def test_a_snapshot_tells_the_term(two: Replicas) -> None:
    b = two["b"]
    await wait_until(lambda: has_primary(b), two.told)
    await asyncio.to_thread(b.promote)
    async with rest(b) as node:
        created = await node.post("/api/v1/snapshots", json={"name": "second term"})
    folder = b.directory / "data" / "snapshots" / created.json()["snapshot"]["id"]
    assert json.loads((folder / "manifest.json").read_text())["term"] == 2


async def test_a_node_whose_start_fails_is_not_seen_by_its_peers(two: Replicas) -> None:
    a, b = two["a"], two["b"]

    def seen() -> dict[str, Any]:
        peers: list[dict[str, Any]] = a.state()["peers"]
        return next(peer for peer in peers if peer["node_id"] == "b")

    await wait_until(lambda: has_primary(b), two.told)
    b.kill()
    await wait_until(lambda: not seen()["connected"], two.told)
    before = seen()["last_heartbeat"]
    with socket.create_server(("127.0.0.1", b.ports["grpc"])):
        b.start()
        assert await asyncio.to_thread(b.running.wait, 60) != 0
    b.process = None
    assert seen()["last_heartbeat"] == before, b.said()


async def test_a_standby_that_is_gone_is_further_and_further_behind(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    a.put("key", "value")
    await two.wait_until_equal()
    b.kill()
    a.put("key", "that it lacks")

    def lag() -> float:
        (peer,) = a.state()["peers"]
        return float(peer["lag_seconds"])

    await wait_until(lambda: lag() > 4, two.told)
    async with rest(a) as primary:
        samples = (await primary.get("/metrics")).text.splitlines()
    (told,) = (line for line in samples if line.startswith("decube_replication_peer_lag_seconds{"))
    assert float(told.split()[-1]) > 4


async def test_both_sides_tell_of_another_token(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    b.stop()
    b.environment = {**b.environment, "DECUBE_REPLICATION_TOKEN": "mistyped"}
    b.start()
    told = "replication.token is another one"
    await wait_until(lambda: told in a.said() and told in b.said(), two.told)


async def test_a_standby_does_not_start_without_its_role(two: Replicas) -> None:
    b = two["b"]
    await two.wait_until_equal()
    b.stop()
    listeners = ("NODE_LISTEN_ADDRESS", "API_REST_ADDRESS", "API_GRPC_ADDRESS")
    anywhere = {f"DECUBE_{listener}": "127.0.0.1:0" for listener in listeners}
    alone = Cli({**anywhere, "DECUBE_NODE_DATA_DIR": str(b.directory / "data")})
    refused = await asyncio.to_thread(alone, "up")
    assert refused.returncode == 2, refused.stderr
    assert "replication.role" in refused.stderr
    assert "decube replication promote" in refused.stderr
    assert "Traceback" not in refused.stderr
    await two.start("b")
    await two.wait_until_role("b", "standby")


async def test_a_primary_without_its_role_says_that_nothing_replicates(two: Replicas) -> None:
    a = two["a"]
    a.stop()
    a.environment = {**a.environment, "DECUBE_REPLICATION_ROLE": "none"}
    a.start()
    await wait_until(lambda: "nothing replicates what is written here" in a.said(), two.told)
