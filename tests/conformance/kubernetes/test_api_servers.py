"""What Kubernetes API servers ask of a store is answered as by a real etcd.

The requests are those of etcd's own Go client and its `kubernetes` package, which API servers use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.node import EtcdProcess, NodeProcess
from tests.support.peers import found_by, peer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.node import ServerProcess

    Pair = Callable[[], tuple[str, str]]

# All that API servers call, as etcd's tests for Kubernetes have it (coverage_test.go).
CALLED = {
    "/etcdserverpb.KV/Compact",
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/RangeStream",
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Maintenance/Status",
    "/etcdserverpb.Watch/Watch",
}
SLOW_SEEDS = range(2, 32)


@pytest.fixture
def pair(tmp_path: Path, servers: list[ServerProcess]) -> Pair:
    """Start a node and an etcd on empty directories, which tell idle watches of progress often."""

    def start() -> tuple[str, str]:
        peer("kubecheck")
        node = NodeProcess(tmp_path, DECUBE_ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL="200ms")
        etcd = EtcdProcess(tmp_path, "--watch-progress-notify-interval=200ms")
        for server in (node, etcd):
            servers.append(server)
            server.ensure_started()
        return node.etcd_address, etcd.etcd_address

    return start


def check(pair: Pair, seed: int, requests: int, timeout_s: float) -> None:
    node, etcd = pair()
    flags = (f"-reference={etcd}", f"-seed={seed}", f"-requests={requests}")
    found = found_by("kubecheck", "compare", node, *flags, timeout_s=timeout_s)
    print(  # noqa: T201 - the count is the evidence
        f"{found['compared']} answers compared, {len(found['differences'])} differences; "
        f"longest wait for progress {found['longest_wait_for_progress_ms']} ms, "
        f"etcd's {found['reference_longest_wait_for_progress_ms']} ms"
    )
    assert found["differences"] == []
    assert found["compared"] > requests
    assert set(found["calls_by_method"]) == CALLED


def test_what_api_servers_ask_is_answered_as_by_a_real_etcd(pair: Pair) -> None:
    check(pair, seed=1, requests=1_000, timeout_s=100)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_much_more_of_it_is_answered_as_by_a_real_etcd(pair: Pair, seed: int) -> None:
    check(pair, seed, requests=10_000, timeout_s=500)


def test_two_stores_that_differ_are_told_apart(
    tmp_path: Path, servers: list[ServerProcess]
) -> None:
    peer("kubecheck")
    (directory := tmp_path / "differs").mkdir()
    nodes = [NodeProcess(tmp_path), NodeProcess(directory, DECUBE_ETCD_MAX_REQUEST_BYTES="1000")]
    for node in nodes:
        servers.append(node)
        node.ensure_started()
    ours, other = (node.etcd_address for node in nodes)
    found = found_by("kubecheck", "compare", ours, f"-reference={other}", "-only=large objects")
    texts = [difference["reference"]["answered"] for difference in found["differences"]]
    assert any("message larger than max" in text for text in texts)
