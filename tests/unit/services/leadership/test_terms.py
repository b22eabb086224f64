"""Whatever happens to leaders, the writes of two terms never interleave."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - a seeded script of faults
from typing import TYPE_CHECKING

import pytest
from tests.support.stores import WAIT_S_MAX, Scene, embedded, take_events

from decube.kit.errors import NotLeader
from decube.services.leadership import ELECTION_KEY, Candidate, Leadership
from decube.store.types import Delete, KeyRange, Put, Txn

if TYPE_CHECKING:
    from decube.services.leadership import FencedStore

NODES = 3
FAULTS = 25
WRITES_BETWEEN_FAULTS = 5


class Writers:
    """Leaders that write their term without pause, and go on after it as if nothing had been."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._late: set[asyncio.Task[None]] = set()
        self._progress = asyncio.Event()
        self.refused = 0
        self.written = 0

    async def work(self, store: FencedStore) -> None:
        """Write until fenced off, in a task that does not hear of the term's end."""
        late = asyncio.create_task(self._write(store))
        self._late.add(late)
        await asyncio.shield(late)

    async def _write(self, store: FencedStore) -> None:
        put = Txn(success=(Put(self._scene.key("term"), b"%d" % store._term),))
        try:
            while True:
                await store.txn(put)
                self.written += 1
                self._progress.set()
        except NotLeader:
            self.refused += 1

    async def wait_until_written(self, more: int) -> None:
        """Wait until that many more writes were acknowledged."""
        target = self.written + more
        async with asyncio.timeout(WAIT_S_MAX):
            while self.written < target:
                self._progress.clear()
                await self._progress.wait()

    async def end(self) -> None:
        """Wait until every one of them was fenced off."""
        async with asyncio.timeout(WAIT_S_MAX):
            await asyncio.gather(*self._late)


@pytest.mark.parametrize("seed", range(4))
async def test_the_writes_of_two_terms_never_interleave(seed: int) -> None:
    faults = random.Random(seed)  # noqa: S311 - guards no secret
    async with embedded() as store:
        scene = Scene(store, "embedded-memory")
        writers = Writers(scene)
        nodes = [
            Leadership(store, Candidate(name, name), ttl_s=10, work=(writers.work,))
            for name in map(str, range(NODES))
        ]
        start = (await scene.list()).revision + 1
        running = [asyncio.create_task(node.run()) for node in nodes]
        for _ in range(FAULTS):
            await writers.wait_until_written(WRITES_BETWEEN_FAULTS)
            if faults.random() < 0.5:
                await store.txn(Txn(success=(Delete(KeyRange(ELECTION_KEY)),)))
            else:
                victim = faults.randrange(NODES)
                running[victim].cancel()
                await asyncio.wait([running[victim]])
                running[victim] = asyncio.create_task(nodes[victim].run())
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await writers.end()
        async with scene.watch(start) as batches:
            events = await take_events(batches, writers.written)
        terms = [int(event.kv.value) for event in events]
        assert len(terms) == writers.written
        assert terms == sorted(terms)
        assert 1 < len(set(terms)) <= writers.refused
