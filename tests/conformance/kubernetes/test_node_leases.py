"""Thousands of nodes renew their leases at once, and no renewal is lost or refused without reason.

Users of KubeBrain reported compare-and-swap failures in that moment that no competitor had caused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.peers import found_by

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 1_000
SECONDS = 10
SLOW_SECONDS = 300
CONTESTED_EVERY = 50


def check(store: str, objects: int, seconds: int, timeout_s: float) -> None:
    found = found_by(
        "kubecheck",
        "leases",
        store,
        f"-objects={objects}",
        f"-rate={RATE}",
        f"-seconds={seconds}",
        timeout_s=timeout_s,
    )
    print(  # noqa: T201 - the rate is the evidence
        f"{found['updates']} updates, {found['updates_per_second']:.0f}/s, "
        f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms"
    )
    assert found["errors"] == 0, found["error"]
    assert found["updates"] == RATE * seconds
    assert found["spurious_conflicts"] == 0
    assert found["lost"] == []
    assert found["updates_that_the_watch_missed"] == 0
    assert found["contested"] == RATE * seconds // CONTESTED_EVERY
    assert found["contested_and_won_by_nobody"] == 0
    assert found["contested_and_won_by_both"] == 0
    assert found["losers_told_of_another_winner"] == 0


def test_leases_are_renewed_again_and_again_without_a_lost_or_spurious_conflict(
    fresh_decube: Callable[[], str],
) -> None:
    """Five times each."""
    check(fresh_decube(), 2_000, SECONDS, timeout_s=100)


@pytest.mark.slow
@pytest.mark.timeout(1_000)
def test_ten_thousand_leases_are_renewed_for_minutes_without_a_lost_or_spurious_conflict(
    fresh_decube: Callable[[], str],
) -> None:
    check(fresh_decube(), 10_000, SLOW_SECONDS, timeout_s=800)
