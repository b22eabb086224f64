"""Delays grow, stay within their bounds and are repeatable when asked to be."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decube.kit.backoff import Backoff, BackoffPolicy
from decube.kit.clock import ManualClock
from decube.kit.errors import Internal


@given(
    initial_s=st.floats(0.001, 10),
    factor=st.floats(1, 10),
    jitter=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_every_delay_lies_between_its_jittered_floor_and_the_cap(
    initial_s: float, factor: float, jitter: float, seed: int
) -> None:
    policy = BackoffPolicy(initial_s=initial_s, max_s=10, factor=factor, jitter=jitter)
    backoff = Backoff(policy, seed=seed)
    ceiling_s = initial_s
    for _ in range(50):
        delay_s = backoff.next_delay_s()
        assert ceiling_s * (1 - jitter) <= delay_s <= ceiling_s <= 10
        ceiling_s = min(ceiling_s * factor, 10)


def test_the_same_seed_draws_the_same_delays_and_another_does_not() -> None:
    def delays(seed: int) -> list[float]:
        backoff = Backoff(seed=seed)
        return [backoff.next_delay_s() for _ in range(10)]

    assert delays(1) == delays(1) != delays(2)


def test_a_success_starts_the_delays_anew() -> None:
    backoff = Backoff(BackoffPolicy(initial_s=1, max_s=100, jitter=0))
    assert [backoff.next_delay_s() for _ in range(3)] == [1, 2, 4]
    assert backoff.failures == 3
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_delay_s() == 1


async def test_pausing_waits_on_the_given_clock() -> None:
    clock = ManualClock()
    backoff = Backoff(BackoffPolicy(initial_s=2, max_s=2, jitter=0), clock=clock)
    pause = asyncio.create_task(backoff.pause())
    await asyncio.sleep(0)
    await clock.advance(1.9)
    assert not pause.done()
    await clock.advance(0.1)
    await pause


@pytest.mark.parametrize(
    "shape", [{"initial_s": 0}, {"initial_s": 9, "max_s": 1}, {"factor": 0.5}, {"jitter": 2}]
)
def test_a_policy_that_would_spin_or_shrink_has_no_constructor(shape: dict[str, float]) -> None:
    with pytest.raises(Internal):
        BackoffPolicy(**shape)
