"""What health checks are told: of a store that stopped writing, and of the alarm NOSPACE."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import grpc
import httpx2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.cli import Cli
from tests.support.waiting import WAIT_S_MAX, wait_until

from decube.pb.etcd import rpc_pb2, rpc_pb2_grpc

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health(node: NodeProcess, query: str = "") -> httpx2.Response:
    return httpx2.get(f"http://{node.rest_address}/health{query}", timeout=WAIT_S_MAX)


def told_by_grpc(node: NodeProcess) -> set[int]:
    """Ask the standard health service, of the whole and of our service."""
    with grpc.insecure_channel(node.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return {
            stub.Check(health_pb2.HealthCheckRequest(service=service)).status
            for service in ("", "proto.DeCubeService")
        }


def set_alarm(node: NodeProcess, action: rpc_pb2.AlarmRequest.AlarmAction) -> None:
    with grpc.insecure_channel(node.etcd_address) as channel:
        request = rpc_pb2.AlarmRequest(action=action, alarm=rpc_pb2.NOSPACE)
        rpc_pb2_grpc.MaintenanceStub(channel).Alarm(request)


def test_a_node_whose_store_stopped_writing_is_unhealthy(node: NodeProcess) -> None:
    node.ensure_started()
    assert (health(node).status_code, told_by_grpc(node)) == (200, {SERVING})
    shutil.rmtree(node.directory / "data")
    wait_until(lambda: health(node).status_code == 503, "REST tells it")
    told = health(node, "?exclude=NOSPACE").json()
    assert told["status"] == "unhealthy"
    assert "the data directory was removed" in told["reason"]
    assert {"timestamp", "is_leader"} <= told.keys()
    wait_until(lambda: told_by_grpc(node) == {NOT_SERVING}, "gRPC tells it")
    status = Cli({"DECUBE_ADDRESS": node.rest_address})("status")
    assert status.returncode == 7
    assert "unhealthy" in status.stdout
    assert "the data directory was removed" in status.stdout


def test_the_alarm_nospace_makes_a_node_unhealthy_unless_it_is_left_out(node: NodeProcess) -> None:
    node.ensure_started()
    cli = Cli({"DECUBE_ADDRESS": node.rest_address})
    set_alarm(node, rpc_pb2.AlarmRequest.ACTIVATE)
    answer = health(node)
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["reason"]) == ("unhealthy", "ALARM NOSPACE")
    status = cli("status", "-o", "json")
    assert status.returncode == 7
    assert json.loads(status.stdout)["health"]["reason"] == "ALARM NOSPACE"
    # Reads and deletes go on: a restart, or no calls any more, would help nobody.
    assert health(node, "?exclude=NOSPACE").status_code == 200
    assert cli("status", "--exclude", "NOSPACE").returncode == 0
    assert told_by_grpc(node) == {SERVING}
    assert health(node, "?exclude=NONE").status_code == 400
    set_alarm(node, rpc_pb2.AlarmRequest.DEACTIVATE)
    assert health(node).status_code == 200
    assert cli("status").returncode == 0
