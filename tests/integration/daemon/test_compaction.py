"""`etcd.auto_compaction_retention` on a running node."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import httpx2
from tests.support.peers import peer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.node import NodeProcess


def etcdctl(node: NodeProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [peer("etcdctl"), f"--endpoints={node.etcd_address}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_node_forgets_history_by_time_and_tells_how_often(node: NodeProcess) -> None:
    node.environment = {**node.environment, "DECUBE_ETCD_AUTO_COMPACTION_RETENTION": "500ms"}
    node.ensure_started()
    assert etcdctl(node, "put", "k", "first").returncode == 0
    first = json.loads(etcdctl(node, "get", "k", "-w", "json").stdout)["kvs"][0]["mod_revision"]
    assert etcdctl(node, "put", "k", "second").returncode == 0

    def refusal() -> str:
        return etcdctl(node, "get", "k", f"--rev={first}").stderr

    wait_until(refusal, "the history was compacted")
    assert "required revision has been compacted" in refusal()
    assert etcdctl(node, "get", "k", "--print-value-only").stdout.strip() == "second"
    metrics = httpx2.get(f"http://{node.rest_address}/metrics").text
    assert 'decube_compactions_total{result="done"}' in metrics
    assert 'decube_compactions_total{result="failed"} 0.0' in metrics
