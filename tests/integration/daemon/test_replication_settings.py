"""How patient a node is with its peers, as it is set."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

# With the default of any of the three, so many tries would take longer than anybody waits here:
# peer_timeout 5 s, retry_interval 1 s. And max_retries is 3.
TRIES = 71
FAILURES = ("a session with a peer failed", "a peer is down")


def test_a_peer_that_says_nothing_is_down_after_as_many_tries_as_set(node: NodeProcess) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4 * TRIES) as silent:
        host, port = silent.getsockname()
        node.environment = {
            **node.environment,
            "DECUBE_NODE_PEER_ADDRESSES": f"{host}:{port}",
            "DECUBE_REPLICATION_ROLE": "primary",
            "DECUBE_REPLICATION_LISTEN_ADDRESS": "127.0.0.1:0",
            "DECUBE_REPLICATION_TOKEN": "a token of this test",
            "DECUBE_REPLICATION_PEER_TIMEOUT": "50ms",
            "DECUBE_REPLICATION_RETRY_INTERVAL": "10ms",
            "DECUBE_REPLICATION_MAX_RETRIES": str(TRIES - 1),
            "DECUBE_LOGGING_LEVEL": "debug",
        }
        node.ensure_started()
        wait_until(lambda: told(node, "a peer is down"), "the peer was told to be down")
    (down,) = told(node, "a peer is down")
    assert down["reason"] == "the peer does not answer"
    # Each try that failed is told, with or without how many they are; the last as the peer's end.
    tries = [event for event in told(node, "a ") if event["event"] in FAILURES]
    assert tries.index(down) == TRIES - 1


def told(node: NodeProcess, event: str) -> list[dict[str, Any]]:
    lines = [line for line in node.log.read_text().splitlines() if f'"{event}' in line]
    return [json.loads(line) for line in lines]
