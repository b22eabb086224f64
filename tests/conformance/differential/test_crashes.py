"""Random operations with crashes between them: both come back with the same, and go on the same.

A lease may have less left than before, never more than it was granted. (A real etcd begins its time
anew at a start, unless an alpha feature is on that keeps it to the last five minutes.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from tests.conformance.differential.requests import LEASES, Requests
from tests.conformance.differential.run import compare, random_steps, read
from tests.support.node import EtcdProcess, NodeProcess

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import LeaseStub

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 120
CRASHES = 1
CALL_SECONDS_MAX = 30.0

# Leases, their keys and the hash of the history, which the random steps ask for too seldom.
LOOK = read(
    "\n".join(
        ["Maintenance.HashKV", "Lease.LeaseLeases", 'KV.Range key: "\\000" range_end: "\\000"']
        + [f"Lease.LeaseTimeToLive ID: {lease} keys: true" for lease in LEASES]
    )
)


def check_time_left(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = LeaseStub(channel)
        for lease in LEASES:
            request = pb.LeaseTimeToLiveRequest(ID=lease)
            told = stub.LeaseTimeToLive(request, timeout=CALL_SECONDS_MAX)
            assert -1 <= told.TTL <= max(told.grantedTTL, -1), told


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 40))]
)
def test_both_hold_and_do_the_same_after_a_crash(
    seed: int, node: NodeProcess, tmp_path: Path
) -> None:
    real = EtcdProcess(tmp_path)
    requests = Requests(seed)
    addresses = (node.etcd_address, real.etcd_address)
    try:
        for _ in range(1 + CRASHES):
            node.ensure_started()
            real.ensure_started()
            for steps in (LOOK, random_steps(requests, STEPS), LOOK):
                difference = compare(addresses, steps, requests)
                assert difference is None, difference
            check_time_left(node.etcd_address)
            node.kill()
            real.kill()
    finally:
        real.kill()
