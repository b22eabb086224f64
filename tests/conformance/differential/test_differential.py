"""Random operations at DeCube and at a real etcd: every answer and every watch must be the same."""

from __future__ import annotations

import itertools
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.conformance.differential.requests import Requests, Step
from tests.conformance.differential.run import (
    Difference,
    compare,
    random_steps,
    read,
    shrink,
    written,
)
from tests.support.node import EtcdProcess, NodeProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.conformance.differential.run import Servers

    Pair = Callable[[], AbstractContextManager[Servers]]

STEPS = 2_500
SEEDS = range(8)
SLOW_SEEDS = range(8, 808)
# A seed takes seconds; the runs that make a difference shorter take minutes.
SHRINKING_SECONDS_MAX = 900

# Sequences that once showed a difference, shrunk; each with its story in docs/bugs.md.
FOUND = {
    "a_compaction_that_keeps_only_a_tombstone": """
        KV.Put key: "a"
        KV.DeleteRange key: "a"
        KV.Compact revision: 3 physical: true
        Maintenance.HashKV revision: 3
        KV.Put key: "b"
        Maintenance.HashKV
    """,
}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Start both on empty stores, for a block.

    The real one is the reference and does not wait for its disk, as ours does.
    """
    numbers = itertools.count()

    @contextmanager
    def start() -> Iterator[Servers]:
        (directory := tmp_path / f"pair-{next(numbers)}").mkdir()
        with NodeProcess(directory) as node, EtcdProcess(directory, "--unsafe-no-fsync") as etcd:
            for server in (node, etcd):
                server.start()
            for server in (node, etcd):
                server.wait_until_ready()
            yield node.etcd_address, etcd.etcd_address
        # Shrinking takes many, each of which has reserved some hundred MiB.
        shutil.rmtree(directory)

    return start


def check(seed: int, steps: int, pair: Pair) -> None:
    requests = Requests(seed)
    with pair() as servers:
        difference = compare(servers, random_steps(requests, steps), requests)
    if difference is not None:
        # In case that shrinking it does not come to an end.
        print(told(seed, difference._replace(steps=difference.steps[-5:])))  # noqa: T201
        pytest.fail(told(seed, shrunk(seed, difference, pair)))


def shrunk(seed: int, difference: Difference, pair: Pair) -> Difference:
    """Find fewer steps that differ."""

    def again(steps: Sequence[Step]) -> Difference | None:
        with pair() as servers:
            return compare(servers, steps, Requests(seed))

    return again(shrink(difference.steps, lambda steps: again(steps) is not None)) or difference


def told(seed: int, difference: Difference) -> str:
    """Tell how to see it again."""
    steps, ours, real = difference
    return f"seed {seed}:\n{written(steps)}\nours: {ours}\netcd: {real}"


@pytest.mark.timeout(SHRINKING_SECONDS_MAX)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_are_answered_as_by_a_real_etcd(seed: int, pair: Pair) -> None:
    check(seed, STEPS, pair)


@pytest.mark.slow
@pytest.mark.timeout(SHRINKING_SECONDS_MAX)
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_two_million_operations_are_answered_as_by_a_real_etcd(seed: int, pair: Pair) -> None:
    check(seed, STEPS, pair)


@pytest.mark.parametrize("name", FOUND)
def test_what_once_differed_does_no_more(name: str, pair: Pair) -> None:
    with pair() as servers:
        difference = compare(servers, read(FOUND[name]), Requests(0))
    assert difference is None


def test_a_difference_is_found_and_shrunk(
    fresh_decube: Callable[[], str], fresh_etcd: Callable[[], str]
) -> None:
    """Servers that differ by one key must be told apart by the few steps that show it."""

    def unequal() -> Servers:
        ours = fresh_decube()
        put = read('KV.Put key: "b" value: "of ours alone"')
        with_key = compare((ours, ours), put, Requests(0))
        assert with_key is not None, "the second put has another revision"
        return ours, fresh_etcd()

    steps = read('KV.Range key: "z"\nKV.Put key: "z"\nKV.Range key: "b"')
    difference = compare(unequal(), steps, Requests(0))
    assert difference is not None
    assert difference.steps == steps[:1]
