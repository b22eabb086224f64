"""A metered store is the store, and counts."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from tests.support.stores import embedded

from decube.kit.clock import ManualClock
from decube.kit.errors import Closed, Compacted, NotFound
from decube.store.metered import MeteredStore
from decube.store.types import KeyRange, LeaseId, Put, RangeRequest, Revision, Txn, WatchRequest

KEY = KeyRange(b"k")


async def test_each_operation_is_counted_by_what_came_of_it() -> None:
    metrics = CollectorRegistry()

    def counted(operation: str, result: str = "ok") -> float | None:
        labels = {"operation": operation, "result": result}
        return metrics.get_sample_value("decube_storage_operations_total", labels)

    async with embedded() as bare:
        store = MeteredStore(bare, metrics, clock=ManualClock())
        put = await store.txn(Txn(success=(Put(b"k", b"v"),)))
        for _ in range(3):
            assert (await store.range(RangeRequest(range=KEY))).count == 1
        with pytest.raises(NotFound):
            await store.lease_keep_alive(LeaseId(1))
        assert (counted("txn"), counted("range"), counted("lease_keep_alive")) == (1, 3, 0)
        assert counted("lease_keep_alive", "not_found") == 1
        timed = {"operation": "range"}
        name = "decube_storage_operation_duration_seconds_count"
        assert metrics.get_sample_value(name, timed) == 3
        await store.txn(Txn(success=(Put(b"k", b"w"),)))
        await store.compact(Revision(put.revision + 1))
        with pytest.raises(Compacted):
            await store.range(RangeRequest(range=KEY, revision=put.revision))
        assert counted("range", "compacted") == 1


async def test_open_watches_are_known() -> None:
    metrics = CollectorRegistry()
    async with embedded() as bare:
        store = MeteredStore(bare, metrics)
        request = WatchRequest(range=KEY)
        async with store.watch(request), store.watch(request) as batches:
            assert metrics.get_sample_value("decube_storage_watches") == 2
            await store.txn(Txn(success=(Put(b"k", b"v"),)))
            assert (await anext(batches)).events[0].kv.value == b"v"
        assert metrics.get_sample_value("decube_storage_watches") == 0
        await bare.close()
        with pytest.raises(Closed):
            async with store.watch(request):
                raise AssertionError("a closed store opened a watch")
    labels = {"operation": "watch", "result": "closed"}
    assert metrics.get_sample_value("decube_storage_operations_total", labels) == 1
    assert metrics.get_sample_value("decube_storage_watches") == 0
