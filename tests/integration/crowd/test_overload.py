"""More clients, connections and watchers than anybody should have: the node's memory stays bounded.

What it cannot take it sheds with etcd's own error; who does not read delays nobody who does.
"""

from __future__ import annotations

import json
import resource
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.http2 import HELLO, RawConnection
from tests.support.peers import found_by, peer
from tests.support.process_use import ProcessUse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.node import NodeProcess

CLIENTS = 20_000
IDLE_CONNECTIONS = 5_000
# An idle connection costs about 19 KB (docs/limits.md); the bound leaves room for the allocator.
IDLE_CONNECTION_KIB_MAX = 32
WATCHERS = 10_000
STALLED = 100


def crowd(command: str, node: NodeProcess, *flags: str, timeout_s: float = 100) -> dict[str, Any]:
    found = found_by("crowd", command, node.etcd_address, *flags, timeout_s=timeout_s)
    print(json.dumps(found))  # noqa: T201 - what was measured
    return found


@pytest.fixture
def open_files() -> Iterator[int]:
    """Let the test, and the node that it starts, open all files that the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def use(node: NodeProcess, open_files: int) -> ProcessUse:  # noqa: ARG001 - before the node starts
    peer("crowd")
    node.ensure_started()
    return ProcessUse(node.pid)


def test_twenty_thousand_clients_are_all_answered(node: NodeProcess, use: ProcessUse) -> None:
    with use.peak_within(256):
        found = crowd("clients", node, f"-clients={CLIENTS}", "-puts=1")
    assert found["errors"] == 0, found["error"]
    assert found["answered"] + found["shed"] == CLIENTS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_more_than_there_is_room_for_is_shed_and_told_so(
    node: NodeProcess, use: ProcessUse
) -> None:
    """Two gigabytes of requests at once: what is taken is stored, the rest costs little."""
    use.reset_peak()
    before = use.memory_mib()
    value_bytes = 100_000
    flags = (f"-clients={CLIENTS}", f"-value-bytes={value_bytes}", "-puts=1")
    found = crowd("clients", node, *flags, timeout_s=500)
    assert found["errors"] == 0, found["error"]
    assert found["shed"] > 0
    assert found["answered"] + found["shed"] == CLIENTS
    stored_mib = found["answered"] * value_bytes >> 20
    # On its way in, waiting for the writer, and in the writer's hands.
    assert use.peak_mib() <= before + stored_mib + 1_280


def check_watchers(
    node: NodeProcess, use: ProcessUse, watchers: int, stalled: int, timeout_s: float
) -> None:
    puts = 400
    flags = (f"-watchers={watchers}", f"-stalled={stalled}", f"-puts={puts}")
    with use.peak_within(256):
        found = crowd("watchers", node, *flags, timeout_s=timeout_s)
    delivered = puts * 10
    assert found["latency_alone"]["count"] == delivered
    assert found["latency_beside_stalled_readers"]["count"] == delivered
    caught_up = found["stalled_readers_that_caught_up"]
    assert caught_up + found["stalled_readers_that_were_disconnected"] == stalled
    assert caught_up == stalled


def test_watchers_who_do_not_read_delay_nobody_and_find_everything_later(
    node: NodeProcess, use: ProcessUse
) -> None:
    check_watchers(node, use, WATCHERS // 10, STALLED // 10, timeout_s=100)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_watchers_are_served_beside_a_hundred_who_do_not_read(
    node: NodeProcess, use: ProcessUse
) -> None:
    check_watchers(node, use, WATCHERS, STALLED, timeout_s=500)


def check_idle(node: NodeProcess, use: ProcessUse, connections: int) -> None:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Infinity is told as -1.
    if 0 <= allowed < connections + 500:
        pytest.skip(f"{connections} connections need a higher hard limit on files than {allowed}")
    before_mib, before_files = use.memory_mib(), use.files()
    with ExitStack() as open_ones:
        held = [
            open_ones.enter_context(RawConnection(node.etcd_address, hello=HELLO))
            for _ in range(connections)
        ]
        assert all(connection.lives() for connection in held)
        assert use.files() == before_files + connections
        grown_kib = (use.memory_mib() - before_mib) * 1024
        assert grown_kib <= connections * IDLE_CONNECTION_KIB_MAX + 8192
    with socket.create_connection(node.etcd_address.rsplit(":", 1), timeout=30):
        pass


def test_a_thousand_idle_connections_cost_little(node: NodeProcess, use: ProcessUse) -> None:
    check_idle(node, use, IDLE_CONNECTIONS // 5)


@pytest.mark.slow
def test_five_thousand_idle_connections_cost_little(node: NodeProcess, use: ProcessUse) -> None:
    check_idle(node, use, IDLE_CONNECTIONS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_list_of_a_gigabyte_is_sent_without_doubling_memory(
    node: NodeProcess, use: ProcessUse
) -> None:
    """One answer of all objects, which the node holds once already."""
    written = crowd("list", node, timeout_s=500)
    with use.peak_within(128):
        read = crowd("list", node, "-objects=0", timeout_s=500)
    assert read["bytes"] >= written["bytes"] == 1 << 30
