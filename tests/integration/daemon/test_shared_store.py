"""Several nodes on one etcd: they share what is stored, and one of them leads."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.support.cli import Cli
from tests.support.node import EtcdProcess, NodeProcess
from tests.support.waiting import WAIT_S_MAX, pause, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import ServerProcess

TTL_S = 3


def info(node: NodeProcess) -> dict[str, Any]:
    """Return what a node tells of itself, and that its health tells the same."""
    told: dict[str, Any] = httpx2.get(f"http://{node.rest_address}/node/info").json()
    return told


def leads(node: NodeProcess) -> bool:
    """Tell whether a node says that it leads."""
    return bool(httpx2.get(f"http://{node.rest_address}/health").json()["is_leader"])


def agree(nodes: list[NodeProcess]) -> bool:
    """Tell whether exactly one says that it leads, and all name it.

    Not which: on a machine that is busy enough a leader misses its TTL, and another takes over.
    """
    told = [info(node) for node in nodes]
    leading = [node.rest_address for node, one in zip(nodes, told, strict=True) if one["is_leader"]]
    return [one["leader_addr"] for one in told] == leading * len(nodes)


def agree_in_the_end(*nodes: NodeProcess) -> None:
    """Wait until they agree; tell what they say and logged if they never do."""
    try:
        wait_until(lambda: agree(list(nodes)), "they agree who leads")
    except AssertionError as error:
        error.add_note("\n".join(f"{info(node)}\n{node.said()}" for node in nodes))
        raise


@pytest.fixture
def etcd(tmp_path: Path, servers: list[ServerProcess]) -> EtcdProcess:
    process = EtcdProcess(tmp_path)
    servers.append(process)
    process.ensure_started()
    return process


@pytest.fixture
def leader_ttl() -> str:
    return f"{TTL_S}s"


@pytest.fixture
def pair(
    etcd: EtcdProcess, tmp_path: Path, servers: list[ServerProcess], leader_ttl: str
) -> tuple[NodeProcess, NodeProcess]:
    """Start two nodes on one etcd; the first leads."""
    nodes = []
    for name in ("a", "b"):
        directory = tmp_path / name
        directory.mkdir()
        node = NodeProcess(
            directory,
            DECUBE_NODE_ID=name,
            DECUBE_STORE_BACKEND="etcd",
            DECUBE_STORE_ENDPOINTS=etcd.etcd_address,
            DECUBE_STORE_LEADER_TTL=leader_ttl,
        )
        servers.append(node)
        node.ensure_started()
        wait_until(lambda: info(node)["leader_addr"], f"{name} knows a leader")  # noqa: B023
        nodes.append(node)
    return nodes[0], nodes[1]


def test_nodes_share_the_store_and_agree_who_leads(
    pair: tuple[NodeProcess, NodeProcess], etcd: EtcdProcess
) -> None:
    first, second = pair
    agree_in_the_end(first, second)
    created = httpx2.post(f"http://{first.rest_address}/api/v1/pods", json={"name": "shared"})
    assert created.status_code == 201
    assert httpx2.get(f"http://{second.rest_address}/api/v1/pods/shared").status_code == 200
    # Neither has an etcd port of its own; both tell where that API is.
    assert info(second)["etcd_address"] == etcd.etcd_address
    kv = Cli({"DECUBE_ADDRESS": second.rest_address})("kv", "get", "--prefix", "/decube/pods/")
    assert "shared" in kv.stdout
    warnings = [line for line in second.log.read_text().splitlines() if '"warning"' in line]
    assert sum("no etcd API of its own" in line for line in warnings) == 1


def test_when_the_leader_is_killed_the_other_leads(
    pair: tuple[NodeProcess, NodeProcess],
) -> None:
    first, second = pair
    first.kill()
    wait_until(lambda: leads(second), "the other node leads")
    assert info(second)["leader_addr"] == second.rest_address
    first.ensure_started()
    agree_in_the_end(first, second)


@pytest.mark.parametrize("leader_ttl", ["1h"])
def test_a_leader_that_stops_in_good_order_hands_over_at_once(
    pair: tuple[NodeProcess, NodeProcess],
) -> None:
    first, second = pair
    # A request of which the leader has only half, so that draining takes its time.
    host, port = first.rest_address.split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /api/v1/pods HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
        assert leads(first), "answered after the half request was read"
        os.kill(first.pid, signal.SIGTERM)
        wait_until(lambda: leads(second), "the other node leads")
        process = first.process
        assert process is not None
        assert process.poll() is None, "the old leader still drains"
    assert process.wait(timeout=WAIT_S_MAX) == 0


def test_a_leader_that_was_paused_does_not_say_that_it_leads(
    pair: tuple[NodeProcess, NodeProcess],
) -> None:
    first, second = pair
    pause(first.pid)
    try:
        wait_until(lambda: leads(second), "the other node leads")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    # From its first answer on: it looks at the clock, not at what it last heard.
    assert not leads(first)
    agree_in_the_end(first, second)


def test_a_node_outlives_its_etcd(pair: tuple[NodeProcess, NodeProcess], etcd: EtcdProcess) -> None:
    first, second = pair
    etcd.kill()
    wait_until(lambda: not leads(first) and not leads(second), "nobody says that it leads")
    answer = httpx2.get(f"http://{first.rest_address}/api/v1/pods", timeout=30)
    assert answer.status_code == 503
    assert json.loads(answer.content)["error"]["code"] == "unavailable"
    etcd.ensure_started()
    wait_until(lambda: leads(first) or leads(second), "one of them leads again")
    assert httpx2.get(f"http://{first.rest_address}/api/v1/pods", timeout=30).status_code == 200
