"""Whole watch streams at DeCube and at a real etcd: every response of every watcher is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conformance.watches.conversation import Conversation, DifferenceError, Pair
from tests.conformance.watches.scripts import SCRIPTS, Talk, put, txn
from tests.support.node import EtcdProcess, NodeProcess

from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 40
SEEDS = range(12)
SLOW_SEEDS = range(12, 1_012)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both servers, on empty stores, for one conversation after the other."""
    with (
        NodeProcess(tmp_path_factory.mktemp("decube")) as node,
        EtcdProcess(tmp_path_factory.mktemp("etcd")) as etcd,
    ):
        for process in (node, etcd):
            process.start()
        for process in (node, etcd):
            process.wait_until_ready()
        yield Pair(node.etcd_address, etcd.etcd_address)


@pytest.mark.parametrize("situation", SCRIPTS)
def test_a_watch_stream_goes_as_with_a_real_etcd(situation: str, pair: Pair) -> None:
    with Conversation(pair) as conversation:
        SCRIPTS[situation](conversation)


def converse(seed: int, pair: Pair) -> None:
    with Conversation(pair) as conversation:
        try:
            Talk(seed, conversation).goes_on(STEPS)
        except DifferenceError as difference:
            pytest.fail(f"seed {seed}:\n{difference}")


@pytest.mark.parametrize("seed", SEEDS)
def test_random_watch_streams_go_as_with_a_real_etcd(seed: int, pair: Pair) -> None:
    converse(seed, pair)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_many_random_watch_streams_go_as_with_a_real_etcd(seed: int, pair: Pair) -> None:
    converse(seed, pair)


def test_streams_that_differ_are_told_apart(pair: Pair) -> None:
    """A watcher more at one of two servers is a difference."""
    with Conversation(pair) as conversation:
        conversation.create(key=b"a")
        conversation.streams[0].asks(
            pb.WatchRequest(create_request=pb.WatchCreateRequest(key=b"a"))
        )
        with pytest.raises(DifferenceError, match=r"watcher 1, ours: .* created: true"):
            conversation.write(txn(put(b"a")))
