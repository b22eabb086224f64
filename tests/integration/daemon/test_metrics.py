"""`/metrics` of a running node: the names that dashboards and alerts are built on."""

from __future__ import annotations

import json
import re
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx2
from tests.support.peers import peer
from tests.support.waiting import wait_until

from decube.pb.decube import decube_pb2, decube_pb2_grpc

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
NAMES = (
    "decube_http_requests_total",
    "decube_http_request_duration_seconds_bucket",
    "decube_grpc_requests_total",
    "decube_grpc_request_duration_seconds_bucket",
    "decube_storage_operations_total",
    "decube_storage_operation_duration_seconds_bucket",
    "decube_storage_watches",
    "decube_catalog_entries_total",
    "decube_compactions_total",
    "decube_store_leases",
    "decube_store_watchers",
    "decube_store_latched",
    "decube_store_storage_failures_total",
    "decube_cpu_usage",
    "decube_memory_usage",
    "decube_memory_limit",
    "decube_disk_usage",
    "decube_disk_total",
    "decube_node_info",
    "decube_is_leader",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
)


def samples(node: NodeProcess) -> dict[str, float]:
    """Return each series with its value."""
    text = httpx2.get(f"http://{node.rest_address}/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_a_node_tells_all_of_its_metrics(node: NodeProcess) -> None:
    node.ensure_started()
    pods = f"http://{node.rest_address}/api/v1/pods"
    for name in ("a", "b"):
        assert httpx2.post(pods, json={"name": name}).status_code == 201
    assert httpx2.get(f"{pods}/absent").status_code == 404
    assert httpx2.get(f"http://{node.rest_address}/no/such/path").status_code == 404
    with grpc.insecure_channel(node.grpc_address) as channel:
        stub = decube_pb2_grpc.DeCubeServiceStub(channel)
        assert stub.GetPod(decube_pb2.GetPodRequest(name="a", namespace="default")).found
    counted = 'decube_catalog_entries_total{resource="pods"}'
    wait_until(lambda: samples(node).get(counted) == 2, "the pods were counted")
    told = samples(node)
    names = {re.split(r"[{ ]", series, maxsplit=1)[0] for series in told}
    assert set(NAMES) <= names, set(NAMES) - names
    posted = {"method": "POST", "route": "/api/v1/pods", "status": "201"}
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(posted.items()))
    assert told[f"decube_http_requests_total{{{labels}}}"] == 2
    assert told['decube_grpc_requests_total{code="OK",method="GetPod"}'] == 1
    assert told['decube_storage_operations_total{operation="txn",result="ok"}'] >= 2
    assert told["decube_is_leader"] == 1
    assert not any("absent" in series or "no/such" in series for series in told), (
        "what clients send is no label"
    )


def test_every_metric_of_a_node_is_on_the_page(node: NodeProcess) -> None:
    node.ensure_started()
    # Only what was called has series, and with them labels.
    assert httpx2.get(f"http://{node.rest_address}/health").status_code == 200
    text = httpx2.get(f"http://{node.rest_address}/metrics").text
    page = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE))
    for name, kind in re.findall(r"^# TYPE (decube_\w+) (\w+)$", text, re.MULTILINE):
        assert page.get(name) == kind, f"{name}, a {kind}, is not on {PAGE.name}"


def test_a_store_that_stopped_writing_is_told_by_metrics_and_log(node: NodeProcess) -> None:
    node.ensure_started()
    put = [peer("etcdctl"), f"--endpoints={node.etcd_address}", "put", "k", "v" * 100_000]
    for _ in range(3):
        assert subprocess.run(put, check=False, timeout=20).returncode == 0
    assert samples(node)["decube_store_latched"] == 0
    # The disk takes no more bytes there, as if it were broken; the node's own log is shorter.
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    assert subprocess.run(put, check=False, timeout=20).returncode != 0
    assert samples(node)["decube_store_latched"] == 1
    assert httpx2.get(f"http://{node.etcd_address}/readyz").status_code == 503
    wait_until(lambda: "takes no more writes" in node.said(), "the log told it")
    events = [json.loads(line) for line in node.log.read_text().splitlines() if line[:1] == "{"]
    (told,) = [event for event in events if "takes no more writes" in event["event"]]
    assert told["level"] == "error"
    assert "File too large" in told["reason"]
