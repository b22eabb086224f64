"""Cut, delayed and silent networks, and nodes killed at random: afterwards all have the same."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - of a recorded seed
from typing import TYPE_CHECKING

import pytest
from tests.support.acknowledged_load import AcknowledgedLoad, Ledger, read_all
from tests.support.replicas import wait_until

if TYPE_CHECKING:
    from tests.support.replicas import Replicas

WRITES_A_ROUND = 60


async def write(two: Replicas, ledger: Ledger, round_number: int) -> None:
    """Load the primary until so many more writes are acknowledged."""
    wanted = ledger.writes + WRITES_A_ROUND
    load = asyncio.create_task(
        AcknowledgedLoad(ledger, clients=8).run(two["a"].etcd_address, round_number)
    )
    try:
        async with asyncio.timeout(60):
            await ledger.wait_until_written(wanted)
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)


@pytest.mark.parametrize("trouble", ["cut", "reset", "hold", "delay"])
async def test_a_standby_catches_up_after(trouble: str, two: Replicas) -> None:
    ledger, network = Ledger(), two.network("b", "a")
    await write(two, ledger, 0)
    if trouble == "delay":
        network.delay_s = 0.02
    else:
        getattr(network, trouble)()
    await write(two, ledger, 1)
    if trouble in ("cut", "hold"):
        await wait_until(lambda: two["b"].state()["primary"] is None, two.told)
    network.heal()
    await two.wait_until_equal()
    found, _ = await read_all(two["b"].etcd_address)
    assert ledger.losses(found) == []


async def test_three_nodes_are_equal_after_either_standby_was_away(three: Replicas) -> None:
    ledger = Ledger()
    three["b"].kill()
    await write(three, ledger, 0)
    three["c"].kill()
    await three.start("b")
    await write(three, ledger, 1)
    await three.start("c")
    await three.wait_until_equal()
    found, _ = await read_all(three["c"].etcd_address)
    assert ledger.losses(found) == []


async def kills(two: Replicas, rounds: int) -> None:
    """Kill either node at a random moment under load; nothing the primary acknowledged is lost."""
    ledger = Ledger()
    dice = random.Random(20_26)  # noqa: S311 - not for secrets
    for number in range(rounds):
        victim = dice.choice(("a", "b"))
        load = asyncio.create_task(
            AcknowledgedLoad(ledger, clients=8).run(two["a"].etcd_address, number)
        )
        async with asyncio.timeout(60):
            await ledger.wait_until_written(ledger.writes + dice.randrange(20, 120))
        two[victim].kill()
        if victim == "b":
            load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        await two.start(victim)
        await two.wait_until_equal()
        found, _ = await read_all(two["b"].etcd_address)
        assert ledger.losses(found) == [], f"round {number}, {victim} was killed"
        ledger.settle(found)


@pytest.mark.timeout(600)
async def test_thirty_kills_of_either_node_lose_nothing(two: Replicas) -> None:
    await kills(two, rounds=30)


@pytest.mark.slow
@pytest.mark.timeout(4000)
async def test_three_hundred_kills_of_either_node_lose_nothing(two: Replicas) -> None:
    await kills(two, rounds=300)
