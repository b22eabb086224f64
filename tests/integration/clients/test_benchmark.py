"""etcd's own `benchmark` runs against the node without a refused request."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.support.peers import peer

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

LOADS = {
    "put": ["put", "--total=5000", "--val-size=256", "--key-space-size=1000"],
    "range": ["range", "foo", "--total=5000"],
    "range prefix": ["range", "foo", "--prefix", "--total=1000", "--limit=10"],
    "range stream": ["range", "foo", "--prefix", "--stream", "--total=1000"],
    "txn-put": ["txn-put", "--total=5000", "--txn-ops=4", "--key-space-size=1000"],
    "txn-mixed": ["txn-mixed", "foo", "--total=2000", "--key-space-size=100"],
    "watch": ["watch", "--streams=5", "--watch-per-stream=20", "--put-total=500"],
    "watch-latency": ["watch-latency", "--put-total=200", "--put-rate=1000"],
    "lease-keepalive": ["lease-keepalive", "--total=2000"],
    "stm": ["stm", "--total=500", "--keys=10"],
}


@pytest.mark.parametrize("load", LOADS)
def test_etcds_benchmark_is_served_whole(node: NodeProcess, load: str) -> None:
    program = peer("benchmark")
    node.ensure_started()
    done = subprocess.run(
        [program, f"--endpoints={node.etcd_address}", "--conns=10", "--clients=50", *LOADS[load]],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Error distribution" not in said, said
    assert "panic" not in said, said
