"""A store that is killed, paused, cut off or let down by its disk keeps what it guarantees.

The checks are etcd's own (docs/robustness.md): the operations are linearizable, and watches keep
every guarantee of etcd's API, against the store's own log.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from tests.support.effort import EFFORT
from tests.support.robustness import (
    Plan,
    Totals,
    decube_target,
    etcd_target,
    troubled_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.robustness import Target, Trials

MIXES = ("etcd", "kubernetes", "etcd-put", "kubernetes-create", "etcd-delete")
PROCESS_AND_NETWORK = (
    "kill",
    "pause",
    "cut",
    "kill_again",
    "blackhole",
    "pauses",
    "lose_answers",
    "delay",
)
DISK = ("slow_disk", "failing_disk", "kill")
OPERATIONS_MIN = 100

# A node that is restarted on a busy machine takes its time.
pytestmark = pytest.mark.timeout(600)


async def check(trials: Trials, make: Callable[[Path], Target], plan: Plan, totals: Totals) -> None:
    summary, verdict = await trials.run(make, plan)
    assert not verdict.violated, f"{plan}: {verdict}"
    assert summary["followed"], f"{plan}: the last events did not come"
    assert summary["operations"] > OPERATIONS_MIN, f"{plan} was no load: {summary}"
    assert summary["events"] > OPERATIONS_MIN, f"{plan} was not watched: {summary}"
    totals.add(plan, summary)


@pytest.mark.parametrize("mix", ["etcd", "kubernetes"])
async def test_a_real_etcd_is_accepted(trials: Trials, mix: str) -> None:
    await check(trials, etcd_target, Plan(mix, ("kill",)), Totals())


@pytest.mark.parametrize(
    "plan",
    [
        Plan("etcd", ("kill", "cut")),
        Plan("kubernetes", ("pause", "lose_answers")),
        Plan("etcd-delete", ("kill_again",)),
    ],
    ids=lambda plan: f"{plan.mix}-{'-'.join(plan.faults)}",
)
async def test_a_disturbed_node_keeps_every_guarantee(trials: Trials, plan: Plan) -> None:
    await check(trials, decube_target, plan, Totals())


async def test_a_slow_and_a_failing_disk_cost_no_guarantee(trials: Trials) -> None:
    plan = Plan("etcd", ("slow_disk", "failing_disk"))
    await check(trials, troubled_target, plan, Totals())


@pytest.mark.slow
@pytest.mark.timeout(7000)
async def test_hundreds_of_histories_keep_every_guarantee(trials: Trials) -> None:
    """Every mix meets every fault, alone and behind another."""
    totals = Totals()
    pairs = [(fault,) for fault in PROCESS_AND_NETWORK]
    pairs += itertools.permutations(PROCESS_AND_NETWORK, 2)
    disks = [(fault,) for fault in DISK] + list(itertools.permutations(DISK, 2))
    rounds = max(1, EFFORT // 20)
    for seed, (mix, faults) in enumerate(itertools.product(MIXES, (pairs + disks) * rounds)):
        make = decube_target if faults in pairs else troubled_target
        await check(trials, make, Plan(mix, faults, seed), totals)
    print(totals)  # noqa: T201 - the figures of docs/robustness.md
