"""What the etcd port tells under a name of etcd's is what a real etcd tells under it."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from tests.conformance.etcdctl.typist import Lasting, Typist
from tests.conformance.metrics.page import open_streams, page_of
from tests.support.node import EtcdProcess, NodeProcess
from tests.support.peers import etcdctl_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.etcdctl.typist import Command
    from tests.conformance.metrics.page import Family, Labels

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"

EACH_RPC_ONCE: list[Command] = [
    *[["put", f"key{number}", "value"] for number in range(3)],
    ["get", "key0"],
    ["get", "", "--prefix", "--rev", "400"],
    ["del", "key", "--prefix"],
    (["txn"], 'version("a") = "0"\n\nput a 1\nput b 2\nget a\n\n\n'),
    (["txn"], "\nget a\nget b\n\n\n"),
    ["lease", "grant", "600"],
    ["put", "held", "1", "--lease", "$LEASE"],
    ["put", "held too", "1", "--lease", "$LEASE"],
    ["lease", "keep-alive", "--once", "$LEASE"],
    ["lease", "timetolive", "$LEASE"],
    ["lease", "list"],
    ["lease", "revoke", "$LEASE"],
    ["lease", "revoke", "7"],
    ["compaction", "3"],
    ["defrag"],
    ["endpoint", "status"],
    ["endpoint", "hashkv"],
    ["alarm", "list"],
    ["member", "list"],
    Lasting(["watch", "a", "--rev", "4"], shows="PUT"),
]

# What etcd's own work is not in, and ours is not either.
COUNTED_ALIKE = (
    "etcd_mvcc_put_total",
    "etcd_mvcc_delete_total",
    "etcd_debugging_mvcc_total_put_size_in_bytes",
    "etcd_debugging_mvcc_keys_total",
    "etcd_debugging_mvcc_current_revision",
    "etcd_debugging_mvcc_compact_revision",
    "etcd_debugging_mvcc_events_total",
    "etcd_debugging_lease_granted_total",
    "etcd_debugging_lease_renewed_total",
    "etcd_debugging_lease_revoked_total",
    "etcd_debugging_lease_ttl_total",
    "etcd_debugging_server_lease_expired_total",
    "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
    "etcd_mvcc_hash_rev_duration_seconds",
    "etcd_network_client_grpc_received_bytes_total",
    "etcd_server_client_requests_total",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_failed_total",
)

Pages = tuple[dict[str, "Family"], dict[str, "Family"]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Ours and a real etcd's, after the same session at each."""
    with (
        NodeProcess(tmp_path_factory.mktemp("decube")) as node,
        EtcdProcess(tmp_path_factory.mktemp("etcd")) as etcd,
    ):
        told = []
        for process in (node, etcd):
            process.ensure_started()
            typist = Typist(etcdctl_of("3.7.1"), process.etcd_address)
            for command in EACH_RPC_ONCE:
                typist.types(command)
            for path in ("livez", "readyz"):
                httpx2.get(f"http://{process.etcd_address}/{path}").raise_for_status()
            told.append(page_when_quiet(process.etcd_address))
        ours, etcds = told
        yield ours, etcds


def page_when_quiet(address: str) -> dict[str, Family]:
    """Return the page once the server has seen that the watching client went away."""
    told = []

    def quiet() -> bool:
        told.append(page_of(address))
        return open_streams(told[-1], "etcdserverpb.Watch") == 0

    wait_until(quiet, "the watch has ended")
    return told[-1]


def test_a_name_of_etcds_has_etcds_type_text_labels_and_buckets(pages: Pages) -> None:
    ours, etcds = pages
    both = ours.keys() & etcds.keys()
    assert len(both) > 60
    for name in sorted(both):
        mine, real = ours[name], etcds[name]
        assert (mine.kind, mine.help) == (real.kind, real.help), name
        assert mine.labels == real.labels, name
        assert mine.bounds == real.bounds, name


def test_what_is_told_under_no_name_of_etcds_is_called_ours(pages: Pages) -> None:
    ours, etcds = pages
    assert {name for name in ours.keys() - etcds.keys() if not name.startswith("decube_")} == set()


def test_what_is_left_out_is_on_the_page_with_its_reason(pages: Pages) -> None:
    ours, etcds = pages
    section = PAGE.read_text().partition("\n## Left out of it\n")[2]
    rows = re.findall(r"^\| (`[^|]+`) \| [^|]{6,} \|$", section, re.MULTILINE)
    patterns = [pattern for row in rows for pattern in re.findall(r"`([^`]+)`", row)]
    missing = etcds.keys() - ours.keys()
    unsaid = {name for name in missing if not any(fnmatch(name, p) for p in patterns)}
    assert unsaid == set()
    assert [p for p in patterns if any(fnmatch(name, p) for name in ours)] == []


def test_the_same_session_counts_the_same(pages: Pages) -> None:
    ours, etcds = pages
    for name in COUNTED_ALIKE:
        assert ours[name].series == etcds[name].series, name


@pytest.mark.parametrize("call", ["started", "handled", "msg_received", "msg_sent"])
def test_the_same_session_counts_the_same_calls(call: str, pages: Pages) -> None:
    name = f"grpc_server_{call}_total"
    ours, etcds = (without_codes_of_streams(page[name]) for page in pages)
    common = {labels for labels in ours.keys() & etcds.keys() if of_etcd(labels)}
    assert len({dict(labels)["grpc_method"] for labels in common}) >= 18
    for labels in common:
        none = no_messages(labels, pages[1]["grpc_server_handled_total"])[call]
        assert ours[labels] == etcds[labels] - none, dict(labels)


def of_etcd(labels: Labels) -> bool:
    return dict(labels)["grpc_service"].startswith("etcdserverpb.")


def without_codes_of_streams(calls: Family) -> dict[Labels, float]:
    """Return the calls of each kind: how a stream ends depends on what the server sees first."""
    series: dict[Labels, float] = {}
    for labels, count in calls.series.items():
        is_stream = ("grpc_type", "bidi_stream") in labels
        of = frozenset(label for label in labels if not is_stream or label[0] != "grpc_code")
        series[of] = series.get(of, 0) + count
    return series


def no_messages(labels: Labels, handled: Family) -> dict[str, float]:
    """Return what etcd counts as messages and is none: the end of a stream, and a refusal."""
    refused, ended = 0.0, 0.0
    for of, count in handled.series.items():
        if of > labels:
            ended += count
            refused += 0 if ("grpc_code", "OK") in of else count
    is_stream = ("grpc_type", "bidi_stream") in labels
    received, sent = (ended, 0.0) if is_stream else (0.0, refused)
    return {"started": 0, "handled": 0, "msg_received": received, "msg_sent": sent}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("etcd_server_request_duration_seconds", "type"),
        ("etcd_server_apply_duration_seconds", "op"),
    ],
)
def test_the_same_requests_are_timed(name: str, label: str, pages: Pages) -> None:
    timed = [
        {dict(labels)[label]: count for labels, count in page[name].series.items()}
        for page in pages
    ]
    for kinds in timed:
        # What etcd tells its members by raft, and alarms, which are only read here.
        for kind in ("ClusterMemberAttrSet", "ClusterVersionSet", "Alarm"):
            kinds.pop(kind, None)
    assert timed[0].keys() == timed[1].keys()
    assert {"Put", "DeleteRange", "Txn", "Compaction", "LeaseGrant"} <= timed[0].keys()
