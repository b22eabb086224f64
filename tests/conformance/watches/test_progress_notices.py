"""Notices of progress by the timer: who gets them, and that the setting is etcd's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from tests.conformance.watches.conversation import Stream, create
from tests.support.node import EtcdProcess, NodeProcess, ServerProcess

from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INTERVAL = "100ms"
NOTICES = 4
SECONDS_MAX = 30.0


def decube(directory: Path) -> tuple[ServerProcess, str]:
    node = NodeProcess(directory, DECUBE_ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL=INTERVAL)
    return node, node.etcd_address


def etcd(directory: Path) -> tuple[ServerProcess, str]:
    process = EtcdProcess(directory, f"--watch-progress-notify-interval={INTERVAL}")
    return process, process.etcd_address


@pytest.mark.parametrize("start", [decube, etcd])
def test_idle_watchers_that_want_it_hear_of_progress(
    start: Callable[[Path], tuple[ServerProcess, str]],
    tmp_path: Path,
    servers: list[ServerProcess],
) -> None:
    process, address = start(tmp_path)
    servers.append(process)
    process.ensure_started()
    stream = Stream(address)
    try:
        revision = stream.kv.Put(pb.PutRequest(key=b"other")).header.revision
        for wanted in (True, False, True):
            stream.asks(create(key=b"a", progress_notify=wanted))
        # One of the future hears nothing: there is no progress of its own.
        stream.asks(create(key=b"a", progress_notify=True, start_revision=revision + 9))

        def notices() -> list[pb.WatchResponse]:
            return [r for r in stream.responses if not r.created]

        assert stream.waits_until(lambda: len(notices()) >= NOTICES, SECONDS_MAX)
        told = notices()
        assert {notice.watch_id for notice in told} == {0, 2}
        assert all(notice.header.revision == revision for notice in told)
        assert not list(itertools.chain.from_iterable(notice.events for notice in told))
    finally:
        stream.end()
