"""RangeStream of long ranges: the chunks of a real etcd, one by one, and together Range's answer.

Both serve small requests, so that chunks grow and shrink over a few thousand short keys.
"""

from __future__ import annotations

import random  # noqa: TID251 - of a recorded seed
from typing import TYPE_CHECKING

import grpc
import pytest
from tests.conformance.differential.sides import shown
from tests.support.node import EtcdProcess, NodeProcess

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20
REQUESTS = 150
KEYS = 1_500
REQUEST_BYTES_MAX = 12_000
CALL_SECONDS_MAX = 60.0
PUTS_AT_ONCE = 100


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KVStub, KVStub]]:
    """Both servers, with the same keys; among them some long values in a row, and deleted ones."""
    directories = tmp_path_factory.mktemp("decube"), tmp_path_factory.mktemp("etcd")
    limit = str(REQUEST_BYTES_MAX)
    with (
        NodeProcess(directories[0], DECUBE_ETCD_MAX_REQUEST_BYTES=limit) as node,
        EtcdProcess(directories[1], f"--max-request-bytes={limit}") as etcd,
    ):
        for process in (node, etcd):
            process.start()
        stubs = []
        for process in (node, etcd):
            process.wait_until_ready()
            stubs.append(KVStub(grpc.insecure_channel(process.etcd_address)))
            fill(stubs[-1])
        yield stubs[0], stubs[1]


def fill(kv: KVStub) -> None:
    puts = [pb.PutRequest(key=name(place), value=value(place)) for place in range(KEYS)]
    long = [put for put in puts if len(put.value) > REQUEST_BYTES_MAX // 4]
    short = [put for put in puts if put not in long]
    for put in long:
        kv.Put(put, timeout=CALL_SECONDS_MAX)
    for start in range(0, len(short), PUTS_AT_ONCE):
        operations = [pb.RequestOp(request_put=put) for put in short[start : start + PUTS_AT_ONCE]]
        kv.Txn(pb.TxnRequest(success=operations), timeout=CALL_SECONDS_MAX)
    gone = pb.DeleteRangeRequest(key=name(200), range_end=name(230))
    kv.DeleteRange(gone, timeout=CALL_SECONDS_MAX)


def name(place: int) -> bytes:
    return b"%05d" % place


def value(place: int) -> bytes:
    # In one chunk they stay below the size at which ours end, whatever was planned.
    is_long = 700 <= place < 712
    return b"v" * (REQUEST_BYTES_MAX // 2 if is_long else place % 60)


def requests() -> Iterator[pb.RangeRequest]:
    """Make requests of all kinds that are served, with starts and ends anywhere."""
    chosen = random.Random(SEED)  # noqa: S311 - not for secrets
    ends = (b"", b"\0", name(KEYS // 2), name(KEYS))
    for _ in range(REQUESTS):
        yield pb.RangeRequest(
            key=chosen.choice((b"\0", name(chosen.randrange(KEYS)))),
            range_end=chosen.choice((*ends, name(chosen.randrange(KEYS)))),
            limit=chosen.choice((0, 0, 1, 10, 11, 30, chosen.randrange(KEYS))),
            revision=chosen.choice((0, 0, 10, 20, 28)),
            keys_only=chosen.random() < 0.3,
            serializable=chosen.random() < 0.3,
            sort_order=chosen.choice((0, 1)),  # type: ignore[arg-type]
        )


def chunks(kv: KVStub, request: pb.RangeRequest) -> list[pb.RangeStreamResponse]:
    return list(kv.RangeStream(request, timeout=CALL_SECONDS_MAX))


def merged(told: list[pb.RangeStreamResponse]) -> pb.RangeResponse:
    whole = pb.RangeResponse()
    for chunk in told:
        whole.MergeFrom(chunk.range_response)
    return whole


def test_the_chunks_of_a_range_are_those_of_a_real_etcd(pair: tuple[KVStub, KVStub]) -> None:
    ours, real = pair
    most = 0
    for request in requests():
        told, expected = chunks(ours, request), chunks(real, request)
        most = max(most, len(told))
        assert list(map(shown, told)) == list(map(shown, expected)), request
        assert merged(told) == ours.Range(request, timeout=CALL_SECONDS_MAX), request
    assert most > 10, "there were long ones"
