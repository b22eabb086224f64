"""Watches: ordered, each event once, whole revisions together, resumable, or `Compacted`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.stores import WAIT_S_MAX, take_events, take_progress

from decube.kit.errors import Compacted, Invalid
from decube.store.types import Delete, KeyRange, Put

if TYPE_CHECKING:
    from tests.support.stores import Scene


async def test_a_watch_sees_what_happens_after_it_was_opened(scene: Scene) -> None:
    await scene.put("before")
    async with scene.watch() as batches:
        put = await scene.put("a", b"1")
        deleted = await scene.delete("a")
        assert scene.told(await take_events(batches, 2)) == [f"+a=1@{put}", f"-a@{deleted}"]


async def test_a_watch_from_a_revision_replays_history_and_goes_on_live(scene: Scene) -> None:
    revisions = [await scene.put("a", b"%d" % number) for number in range(5)]
    async with scene.watch(revisions[2]) as batches:
        revisions.append(await scene.put("a", b"5"))
        told = scene.told(await take_events(batches, 4))
    assert told == [f"+a={number}@{revisions[number]}" for number in (2, 3, 4, 5)]


async def test_a_watch_sees_its_own_keys_only(scene: Scene) -> None:
    async with scene.watch(keys=KeyRange(scene.key("a"))) as batches:
        for name in ("aa", "a", "b", "a"):
            await scene.put(name, b"v")
        events = await take_events(batches, 2)
    assert {event.kv.key for event in events} == {scene.key("a")}


async def test_the_events_of_one_transaction_come_together_in_its_order(scene: Scene) -> None:
    await scene.put("old")
    async with scene.watch() as batches:
        done = await scene.do(
            Put(scene.key("z"), b"1"), Delete(KeyRange(scene.key("old"))), Put(scene.key("a"), b"2")
        )
        async with asyncio.timeout(WAIT_S_MAX):
            batch = await anext(batches)
    at = done.revision
    assert scene.told(list(batch.events)) == [f"+z=1@{at}", f"-old@{at}", f"+a=2@{at}"]
    assert batch.revision == at


async def test_a_large_history_comes_whole_and_in_order(scene: Scene) -> None:
    first = await scene.put("n", b"0")
    for number in range(1, 60):
        await scene.do(*(Put(scene.key(f"{number}-{i}"), b"x" * 20_000) for i in range(10)))
    async with scene.watch(first) as batches:
        events = await take_events(batches, 591)
    assert len(events) == 591
    revisions = [event.kv.mod_revision for event in events]
    assert revisions == sorted(revisions)
    assert len({(event.kv.key, event.kv.mod_revision) for event in events}) == 591


async def test_batches_never_split_a_revision(scene: Scene) -> None:
    first = await scene.put("a")
    for _ in range(3):
        await scene.do(*(Put(scene.key(f"{i:03}"), b"x" * 10_000) for i in range(100)))
    seen: list[set[int]] = []
    total = 0
    async with scene.watch(first) as batches, asyncio.timeout(WAIT_S_MAX):
        while total < 301:
            batch = await anext(batches)
            total += len(batch.events)
            seen.append({event.kv.mod_revision for event in batch.events})
    assert len(set.union(*seen)) == sum(map(len, seen)) == 4


async def test_a_revision_larger_than_a_message_comes_whole(scene: Scene) -> None:
    for start in range(0, 300, 100):
        await scene.do(*(Put(scene.key(f"{start + n:03}"), b"x" * 10_000) for n in range(100)))
    async with scene.watch(prev_kv=True) as batches:
        deleted = await scene.do(Delete(scene.all))
        last = await scene.put("after")
        async with asyncio.timeout(WAIT_S_MAX):
            batch = await anext(batches)
        events = [*batch.events, *await take_events(batches, 301 - len(batch.events))]
    assert len([e for e in batch.events if e.kv.mod_revision == deleted.revision]) == 300
    assert all(e.previous and len(e.previous.value) == 10_000 for e in events[:300])
    assert events[300].kv.mod_revision == last


async def test_prev_kv_is_the_state_before_each_event(scene: Scene) -> None:
    async with scene.watch(prev_kv=True) as batches:
        first = await scene.put("a", b"1")
        await scene.put("a", b"2")
        await scene.delete("a")
        made, changed, deleted = await take_events(batches, 3)
    assert made.previous is None
    assert changed.previous is not None
    assert (changed.previous.value, changed.previous.mod_revision) == (b"1", first)
    assert deleted.previous is not None
    assert (deleted.previous.value, deleted.previous.version) == (b"2", 2)


async def test_a_delete_event_has_only_key_and_revision(scene: Scene) -> None:
    await scene.put("a", b"1")
    async with scene.watch() as batches:
        revision = await scene.delete("a")
        (event,) = await take_events(batches, 1)
    kv = event.kv
    assert event.deleted
    assert (kv.key, kv.mod_revision) == (scene.key("a"), revision)
    assert (kv.value, kv.create_revision, kv.version, kv.lease) == (b"", 0, 0, 0)


async def test_resuming_after_a_batch_repeats_and_loses_nothing(scene: Scene) -> None:
    revisions = [await scene.put("a", b"%d" % number) for number in range(3)]
    async with scene.watch(revisions[0]) as batches, asyncio.timeout(WAIT_S_MAX):
        batch = await anext(batches)
    revisions.append(await scene.put("a", b"3"))
    async with scene.watch(batch.revision + 1) as batches:
        rest = await take_events(batches, 4 - len(batch.events))
    events = [*batch.events, *rest]
    assert [event.kv.mod_revision for event in events] == revisions


async def test_a_watch_from_a_compacted_revision_says_compacted(scene: Scene) -> None:
    old = await scene.put("a", b"1")
    new = await scene.put("a", b"2")
    await scene.store.compact(new)
    with pytest.raises(Compacted) as refused:
        async with scene.watch(old) as batches:
            await take_events(batches, 1)
    assert refused.value.compact_revision == new


async def test_a_watch_from_the_compacted_revision_itself_works(scene: Scene) -> None:
    await scene.put("a", b"1")
    revision = await scene.put("a", b"2")
    await scene.store.compact(revision)
    async with scene.watch(revision) as batches:
        assert scene.told(await take_events(batches, 1)) == [f"+a=2@{revision}"]


async def test_an_open_watch_loses_nothing_to_a_compaction(scene: Scene) -> None:
    async with scene.watch() as batches:
        for number in range(5):
            await scene.store.compact(await scene.put("a", b"%d" % number))
        last = await scene.put("a", b"5")
        events = await take_events(batches, 6)
    assert [event.kv.value for event in events] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert events[-1].kv.mod_revision == last


async def test_a_watch_on_the_future_waits_for_it(scene: Scene) -> None:
    now = await scene.put("a", b"now")
    async with scene.watch(now + 3) as batches:
        for number in (1, 2, 3):
            await scene.put("a", b"%d" % number)
        assert scene.told(await take_events(batches, 1)) == [f"+a=3@{now + 3}"]


async def test_a_watch_on_an_empty_interval_is_refused_by_field(scene: Scene) -> None:
    with pytest.raises(Invalid) as refused:
        async with scene.watch(keys=KeyRange(scene.key("b"), scene.key("a"))):
            pass
    assert refused.value.field == "range"


async def test_an_idle_watch_tells_progress_when_asked_to(scene: Scene) -> None:
    async with scene.watch(progress=True) as batches:
        await scene.do(Put(b"elsewhere/" + scene.prefix, b"v"))
        revision = (await scene.list()).revision
        assert await take_progress(batches, revision) == revision
        put = await scene.put("a", b"1")
        assert scene.told(await take_events(batches, 1)) == [f"+a=1@{put}"]


async def test_progress_never_runs_ahead_of_events(scene: Scene) -> None:
    told = 0
    async with scene.watch(progress=True) as batches, asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(write_slowly(scene, 40))
        seen = 0
        async with asyncio.timeout(WAIT_S_MAX):
            while seen < 40:
                batch = await anext(batches)
                assert all(event.kv.mod_revision > told for event in batch.events)
                assert batch.revision >= told
                told = batch.revision
                seen += len(batch.events)
        await writer


async def write_slowly(scene: Scene, count: int) -> None:
    """Write with gaps around the progress interval, so that the two meet in every order."""
    for number in range(count):
        await scene.put("a", b"%d" % number)
        await asyncio.sleep(0.02 * (number % 7))


async def test_without_asking_an_idle_watch_is_silent(scene: Scene) -> None:
    async with scene.watch() as batches:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(batches)
        revision = await scene.put("a", b"1")
        assert scene.told(await take_events(batches, 1)) == [f"+a=1@{revision}"]


async def test_a_consumer_that_gives_up_waiting_loses_nothing(scene: Scene) -> None:
    async with scene.watch() as batches:
        for number in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001 * number):
                    await anext(batches)
        revisions = [await scene.put("a", b"%d" % number) for number in range(5)]
        events = await take_events(batches, 5)
    assert [event.kv.mod_revision for event in events] == revisions


async def test_a_slow_consumer_holds_nobody_up_and_loses_nothing(scene: Scene) -> None:
    async with scene.watch() as slow, scene.watch() as quick:
        for start in range(0, 300, 10):
            await asyncio.gather(
                *(scene.put("a", b"%d" % n + b"x" * 20_000) for n in range(start, start + 10))
            )
            await take_events(quick, 10)
        revision = await scene.put("last")
        events = await take_events(slow, 301)
    assert len(events) == 301
    assert events[-1].kv.mod_revision == revision
    assert [event.kv.version for event in events[:-1]] == list(range(1, 301))


async def test_many_watches_see_the_same_order(scene: Scene) -> None:
    async with (
        scene.watch() as first,
        scene.watch() as second,
        scene.watch() as third,
    ):
        await asyncio.gather(*(scene.put(f"{n % 7}", b"%d" % n) for n in range(100)))
        told = [scene.told(await take_events(watch, 100)) for watch in (first, second, third)]
    assert told[0] == told[1] == told[2]


async def test_leaving_a_watch_ends_it(scene: Scene) -> None:
    for _ in range(50):
        async with scene.watch() as batches:
            pending = asyncio.create_task(anext(batches))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            pending.cancel()
    assert await scene.put("a")
