"""The number of objects by resource."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry
from tests.support.stores import embedded
from tests.support.waiting import WAIT_S_MAX

from decube.kit.clock import ManualClock
from decube.services.catalogue import COUNT_INTERVAL_S, CatalogueCounts
from decube.store.types import KeyRange, Put, Txn


async def test_objects_are_counted_by_resource_now_and_then() -> None:
    metrics, clock = CollectorRegistry(), ManualClock()

    def entries(resource: str) -> float | None:
        labels = {"resource": resource}
        return metrics.get_sample_value("decube_catalog_entries_total", labels)

    async def asleep() -> None:
        async with asyncio.timeout(WAIT_S_MAX):
            while not clock.sleepers:  # noqa: ASYNC110 - the clock tells nobody
                await asyncio.sleep(0)

    async with embedded() as store:
        resources = {"pods": KeyRange.prefix(b"/p/"), "leases": KeyRange.prefix(b"/l/")}
        counts = CatalogueCounts(store, resources, clock=clock, metrics=metrics)
        task = asyncio.create_task(counts.run())
        await asleep()
        assert (entries("pods"), entries("leases")) == (0, 0)
        await store.txn(Txn(success=(Put(b"/p/a", b""), Put(b"/p/b", b""), Put(b"/l/a", b""))))
        await clock.advance(COUNT_INTERVAL_S)
        await asleep()
        assert (entries("pods"), entries("leases")) == (2, 1)
        await store.close()
        await clock.advance(COUNT_INTERVAL_S)
        await asleep()
        assert entries("pods") == 2, "what cannot be counted keeps its last figure"
        task.cancel()
        await asyncio.wait([task])
