"""The loss of either node, and an operator's one command."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.support.cli import Cli
from tests.support.replicas import wait_until

from decube.kit.errors import Compacted
from decube.store.remote import RemoteOptions, RemoteStore
from decube.store.types import KeyRange, Revision, WatchRequest

if TYPE_CHECKING:
    from tests.support.replicas import Replicas

REVISION_JUMP = 1_000_000_000


async def test_a_standby_is_promoted_and_the_old_primary_comes_back_as_a_standby(
    two: Replicas,
) -> None:
    a, b = two["a"], two["b"]
    a.put("replicated")
    await two.wait_until_equal()
    two.network("b", "a").cut()
    two.network("a", "b").cut()
    for number in range(5):
        lost = a.put(f"lost{number}")
    a.kill()
    promoted = Cli({"DECUBE_ADDRESS": f"http://{b.rest_address}"})(
        "replication", "promote", "--yes"
    )
    assert promoted.returncode == 0, promoted.stderr
    assert b.state()["role"] == "primary"
    assert b.state()["term"] == 2
    assert "this node was made the primary" in b.said()
    assert b.put("after") > lost + REVISION_JUMP // 2
    for network in (two.network("a", "b"), two.network("b", "a")):
        network.heal()
    await two.start("a")
    assert a.state()["role"] == "standby"
    assert await asyncio.to_thread(a.put, "through it at once") > lost + REVISION_JUMP // 2
    await two.wait_until_equal()
    assert (a.get("replicated"), a.get("lost0"), a.get("after")) == ("v", None, "v")
    (tail,) = a.state()["tails"]
    assert await asyncio.to_thread(os.path.getsize, tail) > 0
    status = Cli({"DECUBE_ADDRESS": f"http://{a.rest_address}"})("replication", "status")
    assert tail in status.stdout
    told = Cli()("store", "dump-log", "--file", tail, "-o", "json").stdout.splitlines()
    changes = [json.loads(line)["changes"][0] for line in told]
    assert [(change["key"], change["value"]) for change in changes] == [
        (f"lost{number}", "v") for number in range(5)
    ]


async def test_a_primary_that_meets_a_higher_term_stops_writing_by_itself(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    a.put("key")
    await two.wait_until_equal()
    await asyncio.to_thread(b.promote)
    await two.wait_until_role("a", "standby")
    await two.wait_until_equal()
    assert (a.state()["term"], b.state()["term"]) == (2, 2)
    written = await asyncio.to_thread(a.put, "key", "through the old one")
    assert b.get("key") == "through the old one"
    assert written > REVISION_JUMP


async def test_a_watch_across_a_promotion_is_told_compacted(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    seen = Revision(a.put("key"))
    await two.wait_until_equal()
    store = RemoteStore(RemoteOptions(endpoints=(b.etcd_address,)))
    request = WatchRequest(range=KeyRange(b"key"), start_revision=Revision(seen + 1))
    async with store.watch(request) as batches:
        a.kill()
        await asyncio.to_thread(b.promote)
        with pytest.raises(Compacted) as told:
            await asyncio.wait_for(anext(batches), 20)
    await store.close()
    assert told.value.compact_revision > REVISION_JUMP // 2


async def test_a_planned_change_loses_nothing(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    for number in range(20):
        a.put(f"key{number}")
    await asyncio.to_thread(a.demote)
    assert a.state()["role"] == "standby"
    await wait_until(lambda: a.hash_kv() == b.hash_kv(), two.told)
    await asyncio.to_thread(b.promote)
    await two.wait_until_equal()
    assert a.get("key19") == "v"
    assert a.state()["tails"] == []


async def test_the_role_outlives_the_process_and_the_configuration(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    a.put("key")
    await two.wait_until_equal()
    await asyncio.to_thread(b.promote)
    await two.wait_until_role("a", "standby")
    a.kill()
    b.kill()
    await two.start("a", "b")
    assert (a.state()["role"], b.state()["role"]) == ("standby", "primary")
    b.put("key", "new")
    await two.wait_until_equal()


async def test_promoting_a_primary_is_a_conflict(two: Replicas) -> None:
    refused = Cli({"DECUBE_ADDRESS": f"http://{two['a'].rest_address}"})(
        "replication", "promote", "--yes"
    )
    assert refused.returncode == 5, refused.stderr
