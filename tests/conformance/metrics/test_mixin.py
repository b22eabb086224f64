"""The alerts and dashboards of etcd's mixin find what they ask for on the etcd port's page.

The names and labels are those that `contrib/mixin` of etcd 3.7.1 uses.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conformance.metrics.page import open_streams, page_of
from tests.support.peers import etcdctl_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"

ALERTS = {
    "etcd_server_has_leader": set(),
    "etcd_server_leader_changes_seen_total": set(),
    "grpc_server_handled_total": {"grpc_type", "grpc_code", "grpc_method"},
    "grpc_server_handling_seconds_bucket": {"grpc_type", "grpc_method"},
    "etcd_network_peer_sent_failures_total": {"To"},
    "etcd_network_peer_round_trip_time_seconds_bucket": {"To"},
    "etcd_server_proposals_failed_total": set(),
    "etcd_disk_wal_fsync_duration_seconds_bucket": {"le"},
    "etcd_disk_backend_commit_duration_seconds_bucket": {"le"},
    "etcd_mvcc_db_total_size_in_bytes": set(),
    "etcd_mvcc_db_total_size_in_use_in_bytes": set(),
    "etcd_server_quota_backend_bytes": set(),
}
DASHBOARDS = {
    "etcd_server_has_leader": set(),
    "etcd_server_leader_changes_seen_total": set(),
    "etcd_server_proposals_applied_total": set(),
    "etcd_server_proposals_committed_total": set(),
    "etcd_server_proposals_failed_total": set(),
    "etcd_server_proposals_pending": set(),
    "grpc_server_started_total": {"grpc_type", "grpc_service"},
    "grpc_server_handled_total": {"grpc_type", "grpc_service", "grpc_code"},
    "etcd_mvcc_db_total_size_in_bytes": set(),
    "etcd_disk_wal_fsync_duration_seconds_bucket": {"le"},
    "etcd_disk_backend_commit_duration_seconds_bucket": {"le"},
    "process_resident_memory_bytes": set(),
    "etcd_network_client_grpc_received_bytes_total": set(),
    "etcd_network_client_grpc_sent_bytes_total": set(),
    "etcd_network_peer_received_bytes_total": set(),
    "etcd_network_peer_sent_bytes_total": set(),
    "etcd_network_peer_round_trip_time_seconds_bucket": {"le"},
}
# A real etcd of one member, with its default flags, tells none of them either.
EXCEPTIONS = {
    "grpc_server_handling_seconds_bucket",
    "etcd_network_peer_sent_failures_total",
    "etcd_network_peer_round_trip_time_seconds_bucket",
    "etcd_network_peer_received_bytes_total",
    "etcd_network_peer_sent_bytes_total",
}


def test_the_mixin_finds_its_metrics_with_their_labels(fresh_decube: Callable[[], str]) -> None:
    told = page_of(fresh_decube())
    for asked in (ALERTS, DASHBOARDS):
        for name, labels in asked.items():
            if name in EXCEPTIONS:
                continue
            family = told.get(name.removesuffix("_bucket"))
            assert family is not None, f"{name} is asked for"
            assert (family.kind == "histogram") == name.endswith("_bucket"), name
            # Before anything was asked of the node: a rate needs where it began.
            assert family.series, name
            assert labels <= family.labels | {"le"}, name


def test_the_exceptions_are_none_that_are_told_and_are_documented(
    fresh_decube: Callable[[], str], fresh_etcd: Callable[[], str]
) -> None:
    left_out = PAGE.read_text().partition("\n## Left out of it\n")[2]
    for told in (page_of(fresh_decube()), page_of(fresh_etcd())):
        for name in EXCEPTIONS:
            assert name.removesuffix("_bucket") not in told
    for name in EXCEPTIONS:
        family = re.sub(r"(etcd_network_peer_).*", r"\1*", name.removesuffix("_bucket"))
        assert f"`{family}`" in left_out


def test_the_dashboards_open_streams_are_those_that_are_open(
    fresh_decube: Callable[[], str],
) -> None:
    endpoint = fresh_decube()

    def open_watches() -> float:
        return open_streams(page_of(endpoint), "etcdserverpb.Watch")

    assert open_watches() == 0
    watch = [etcdctl_of("3.7.1"), f"--endpoints={endpoint}", "watch", "a", "--progress-notify"]
    with subprocess.Popen(watch, stdout=subprocess.DEVNULL) as watching:
        wait_until(lambda: open_watches() == 1, "the stream is open")
        watching.terminate()
    wait_until(lambda: open_watches() == 0, "the stream is closed")
