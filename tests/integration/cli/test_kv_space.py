"""A store that takes no more writes: what the command line says then, and what ends it."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

from tests.support.cli import Cli
from tests.support.node import NodeProcess

from decube.store.limits import QUOTA_HINT

if TYPE_CHECKING:
    from pathlib import Path

EXHAUSTED = 9
COMPACTED = 6
UNAVAILABLE = 7


def cli_of(node: NodeProcess) -> Cli:
    return Cli({"DECUBE_ADDRESS": f"http://{node.rest_address}"})


def test_a_full_quota_is_told_with_the_steps_that_end_it_which_do(tmp_path: Path) -> None:
    quota = {"DECUBE_ETCD_QUOTA_BACKEND_BYTES": "60000", "DECUBE_STORE_ENGINE": "memory"}
    with NodeProcess(tmp_path, **quota) as node:
        node.ensure_started()
        cli = cli_of(node)
        assert cli("kv", "alarm", "list").stdout == ""
        written = 0
        while (refused := cli("kv", "put", "old", "x" * 8000)).returncode == 0:
            written += 1
            assert written < 10, "the quota was never reached"
        pod = cli("pods", "create", "web", "--annotation", "long=" + "x" * 9000)
        lease = cli("leases", "create", "me", "-m", "long=" + "x" * 9000)
        for done in (refused, pod, lease):
            assert done.returncode == EXHAUSTED, done.stderr
            assert "space exceeded" in done.stderr
            assert QUOTA_HINT in done.stderr
        (raised,) = json.loads(cli("kv", "alarm", "list", "-o", "json").stdout)["alarms"]
        assert raised["alarm"] == "NOSPACE"
        # The steps as they were told.
        assert cli("kv", "del", "old").stdout == "1\n"
        assert cli("kv", "compact", "--physical").stdout.startswith("compacted revision ")
        assert "alarm NOSPACE" in cli("kv", "alarm", "disarm").stdout
        assert cli("kv", "alarm", "list").stdout == ""
        assert cli("pods", "create", "web", "--annotation", "long=" + "x" * 9000).returncode == 0


def test_history_is_dropped_up_to_a_revision(cli: Cli) -> None:
    first, second, third = (
        json.loads(cli("kv", "put", "history", text, "-o", "json").stdout)["revision"]
        for text in ("1", "2", "3")
    )
    assert cli("kv", "compact", str(second)).stdout == f"compacted revision {second}\n"
    assert cli("kv", "get", "history", "--rev", str(first)).returncode == COMPACTED
    assert cli("kv", "get", "history", "--rev", str(second)).stdout == "history\n2\n"
    assert cli("kv", "compact", str(first)).returncode == COMPACTED
    refused = cli("kv", "compact", str(third + 100))
    assert (refused.returncode, "future revision" in refused.stderr) == (2, True)
    assert cli("kv", "compact", "-1").returncode == 2


def test_a_store_that_stopped_writing_is_told_without_contradiction(node: NodeProcess) -> None:
    node.ensure_started()
    cli = cli_of(node)
    for _ in range(3):
        assert cli("kv", "put", "k", "v" * 100_000).returncode == 0
    # The disk takes no more bytes there, as if it were broken; the node's own log is shorter.
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    assert cli("kv", "put", "k", "v" * 100_000).returncode == UNAVAILABLE
    put, pod = cli("kv", "put", "k", "v"), cli("pods", "create", "web")
    for done in (put, pod):
        assert done.returncode == UNAVAILABLE, done.stderr
        assert "log tells why" in done.stderr
        assert "try again" not in done.stderr
        assert "does an etcd API listen there?" not in done.stderr
    assert "restart to recover" in pod.stderr
