"""Random operations at DeCube and at a real etcd: every answer and every watch must be the same."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.conformance.differential.run import Servers

STEPS = 2_500
SEEDS = range(8)
SLOW_SEEDS = range(8, 808)

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
def pair(fresh_decube: Callable[[], str], fresh_etcd: Callable[[], str]) -> Callable[[], Servers]:
    """Start both on empty stores."""
    return lambda: (fresh_decube(), fresh_etcd())


def check(seed: int, steps: int, pair: Callable[[], Servers]) -> None:
    requests = Requests(seed)
    difference = compare(pair(), random_steps(requests, steps), requests)
    if difference is not None:
        pytest.fail(story(seed, difference, pair))


def story(seed: int, difference: Difference, pair: Callable[[], Servers]) -> str:
    """Shrink a difference and tell how to see it again."""

    def differs(steps: Sequence[Step]) -> bool:
        return compare(pair(), steps, Requests(seed)) is not None

    steps = shrink(difference.steps, differs)
    again = compare(pair(), steps, Requests(seed)) or difference
    return f"seed {seed}:\n{written(again.steps)}\nours: {again.ours}\netcd: {again.real}"


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_are_answered_as_by_a_real_etcd(
    seed: int, pair: Callable[[], Servers]
) -> None:
    check(seed, STEPS, pair)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_two_million_operations_are_answered_as_by_a_real_etcd(
    seed: int, pair: Callable[[], Servers]
) -> None:
    check(seed, STEPS, pair)


@pytest.mark.parametrize("name", FOUND)
def test_what_once_differed_does_no_more(name: str, pair: Callable[[], Servers]) -> None:
    difference = compare(pair(), read(FOUND[name]), Requests(0))
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
