"""Settings that bound or shape what a node serves: each seen from outside, on a running node."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from typing import TYPE_CHECKING

import grpc
import httpx2
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.support.node import NodeProcess
from tests.support.peers import peer
from tests.support.waiting import WAIT_S_MAX

from decube.pb.decube import decube_pb2, decube_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NARROW = {
    "DECUBE_NODE_ID": "narrow-7",
    "DECUBE_NODE_ADVERTISE_HOST": "decube.example",
    "DECUBE_STORE_ENGINE": "memory",
    "DECUBE_ETCD_NAME": "member-7",
    "DECUBE_ETCD_MAX_REQUEST_BYTES": "4096",
    "DECUBE_ETCD_MAX_TXN_OPS": "2",
    "DECUBE_ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL": "100ms",
    "DECUBE_API_REST_MAX_BODY_BYTES": "2048",
    "DECUBE_API_REST_MAX_CONNECTIONS": "2",
    "DECUBE_API_REST_TIMEOUT": "1s",
    "DECUBE_API_GRPC_MAX_MESSAGE_BYTES": "2048",
    "DECUBE_LOGGING_LEVEL": "warning",
    "DECUBE_LOGGING_FORMAT": "console",
}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("narrow"), **NARROW) as node:
        node.ensure_started()
        yield node


def etcdctl(
    node: NodeProcess, *arguments: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [peer("etcdctl"), f"--endpoints={node.etcd_address}", *arguments]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=WAIT_S_MAX, check=False
    )


def pods(node: NodeProcess) -> str:
    return f"http://{node.rest_address}/api/v1/pods"


def test_the_node_and_the_member_tell_their_names(narrow: NodeProcess) -> None:
    info = httpx2.get(f"http://{narrow.rest_address}/node/info").json()
    assert info["node_id"] == "narrow-7"
    assert info["address"] == f"decube.example:{narrow.ports['rest']}"
    members = json.loads(etcdctl(narrow, "member", "list", "-w", "json").stdout)["members"]
    assert members[0]["name"] == "member-7"


def test_a_request_of_an_etcd_client_above_the_limit_is_refused(narrow: NodeProcess) -> None:
    assert etcdctl(narrow, "put", "k", "x" * 3000).returncode == 0
    assert "request is too large" in etcdctl(narrow, "put", "k", "x" * 5000).stderr


def test_a_transaction_of_more_operations_is_refused(narrow: NodeProcess) -> None:
    two, three = (
        "\n\n" + "".join(f"put k{n} v\n" for n in range(count)) + "\n\n" for count in (2, 3)
    )
    assert etcdctl(narrow, "txn", given=two).returncode == 0
    assert "too many operations" in etcdctl(narrow, "txn", given=three).stderr


def test_idle_watches_hear_of_progress_as_often_as_set(narrow: NodeProcess) -> None:
    command = [peer("etcdctl"), f"--endpoints={narrow.etcd_address}", "watch", "idle"]
    with subprocess.Popen([*command, "--progress-notify"], stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        try:
            assert b"progress notify" in watching.stdout.readline()
        finally:
            watching.kill()


def test_bodies_connections_and_slow_clients_of_rest_have_their_bounds(
    narrow: NodeProcess,
) -> None:
    large = {"name": "a", "annotations": {"note": "x" * 3000}}
    assert httpx2.post(pods(narrow), json=large).status_code == 413
    host, _, port = narrow.rest_address.rpartition(":")
    open_ones = [socket.create_connection((host, int(port)), WAIT_S_MAX) for _ in range(2)]
    with open_ones[0] as first, open_ones[1] as second:
        # Nobody sends anything: cut off after a second, while the third is refused at once.
        with socket.create_connection((host, int(port)), WAIT_S_MAX) as third:
            assert b" 503 " in third.recv(1024)
        for waiting in (first, second):
            said = waiting.recv(1024)
            assert said == b"" or b" 408 " in said


def test_a_grpc_message_above_the_limit_is_refused(narrow: NodeProcess) -> None:
    pod = decube_pb2.Pod(name="a", namespace="default", annotations={"note": "x" * 3000})
    with grpc.insecure_channel(narrow.grpc_address) as channel:
        stub = decube_pb2_grpc.DeCubeServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.CreatePod(decube_pb2.CreatePodRequest(pod=pod))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_log_has_the_level_and_the_form_that_were_set(narrow: NodeProcess) -> None:
    said = narrow.said()
    assert "[info" not in said
    assert not re.search(r"^\{", said, re.MULTILINE)


def test_an_api_that_is_off_is_not_served(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, DECUBE_API_GRPC_ENABLED="false", DECUBE_STORE_ENGINE="memory")
    try:
        node.ensure_started()
        info = httpx2.get(f"http://{node.rest_address}/node/info").json()
        assert info["grpc_address"] == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", node.ports["grpc"]))
    finally:
        node.kill()


def test_at_the_quota_writes_are_refused_and_deletes_make_room(tmp_path: Path) -> None:
    node = NodeProcess(
        tmp_path, DECUBE_ETCD_QUOTA_BACKEND_BYTES="60000", DECUBE_STORE_ENGINE="memory"
    )
    try:
        node.ensure_started()
        written = 0
        while (answer := etcdctl(node, "put", f"k{written}", "x" * 8000)).returncode == 0:
            written += 1
            assert written < 10, "the quota was never reached"
        assert "database space exceeded" in answer.stderr
        refused = httpx2.post(pods(node), json={"name": "a", "annotations": {"n": "x" * 9000}})
        assert refused.status_code == 429
        assert "kv alarm disarm" in refused.json()["error"]["details"]["hint"]
        assert "retry-after" not in refused.headers
        large = decube_pb2.CreatePodRequest(
            pod=decube_pb2.Pod(name="a", annotations={"n": "x" * 9000})
        )
        with grpc.insecure_channel(node.grpc_address) as channel:
            with pytest.raises(grpc.RpcError) as failed:
                decube_pb2_grpc.DeCubeServiceStub(channel).CreatePod(large, timeout=WAIT_S_MAX)
            # Without a RetryInfo.
            (detail,) = rpc_status.from_call(failed.value).details
        info = error_details_pb2.ErrorInfo()
        assert detail.Unpack(info)
        assert "kv alarm disarm" in info.metadata["hint"]
        assert etcdctl(node, "get", "k0").returncode == 0
        assert etcdctl(node, "del", "k", "--prefix").returncode == 0
    finally:
        node.kill()


def test_connections_of_etcd_clients_have_a_bound(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, DECUBE_ETCD_MAX_CONNECTIONS="1", DECUBE_STORE_ENGINE="memory")
    host, _, port = node.etcd_address.rpartition(":")
    try:
        node.ensure_started()
        with socket.create_connection((host, int(port)), WAIT_S_MAX) as only:
            only.settimeout(WAIT_S_MAX)
            with socket.create_connection((host, int(port)), WAIT_S_MAX) as second:
                second.settimeout(WAIT_S_MAX)
                assert second.recv(1) == b"", "it is closed at once"
    finally:
        node.kill()
