"""What partitions and pauses did to etcd's members, on a primary and its standby."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import grpc
import pytest
from tests.conformance.etcd_bugs.client import ALL, Client
from tests.support.replicas import Replicas
from tests.support.waiting import pause

from decube.pb.etcd import kv_pb2
from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import NodeProcess

WRITES = 30
# Longer than the shortest lease, which is of 2 s.
PAUSE_SECONDS = 3.0


async def test_a_watch_does_not_go_back_when_the_network_of_its_member_breaks(
    tmp_path: Path,
) -> None:
    """15271: a member that caught up by a snapshot told its watchers what they had had."""
    async with Replicas(tmp_path) as two:

        def put() -> int:
            return [two["a"].put(f"key-{number % 5}") for number in range(WRITES)][-1]

        await asyncio.to_thread(put)
        await two.wait_until_equal()
        with Client(two["b"].etcd_address) as client, client.watch(**ALL) as watch:
            present = watch.created.header.revision
            for trouble in ("cut", "reset"):
                getattr(two.network("b", "a"), trouble)()
                last = await asyncio.to_thread(put)
                two.network("b", "a").heal()
                await two.wait_until_equal()
            events = await asyncio.to_thread(watch.events_through, last)
        revisions = [event.kv.mod_revision for event in events]
        assert revisions == list(range(present + 1, last + 1))


def test_a_paused_node_reads_what_it_acknowledged(node: NodeProcess) -> None:
    """20418: a member that was paused answered from its past, and an ended lease's key was there.

    The lease runs out while the node stands still; a read right after is of the present.
    """
    node.ensure_started()
    with Client(node.etcd_address) as client, Client(node.etcd_address) as other:
        granted = client.lease.LeaseGrant(pb.LeaseGrantRequest(TTL=2))
        request = pb.PutRequest(key=b"held", lease=granted.ID)
        revision = client.kv.Put(request).header.revision
        with other.watch(key=b"held") as watch:
            pause(node.pid)
            writing = client.kv.Put.future(pb.PutRequest(key=b"waits"))
            with pytest.raises(grpc.FutureTimeoutError):
                writing.result(timeout=PAUSE_SECONDS)
            os.kill(node.pid, signal.SIGCONT)
            acknowledged = writing.result().header.revision
            state = client.everything()
            assert state.header.revision >= acknowledged > revision
            assert b"waits" in [kv.key for kv in state.kvs]
            # From the moment that its end is told, no read shows it.
            ended = next(response for response in watch.responses() if response.events)
            assert ended.events[-1].type == kv_pb2.Event.DELETE
            assert b"held" not in [kv.key for kv in client.everything().kvs]
