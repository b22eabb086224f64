"""A registry of pods on a store in memory, with time and identities that tests know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from tests.support.stores import embedded

from decube.kit.clock import ManualClock
from decube.kit.ids import SequentialIds
from decube.model.metadata import ObjectMeta
from decube.model.names import Name, Namespace
from decube.model.pod import Pod, PodSpec, PodStatus
from decube.registry.registry import Registry
from decube.registry.unreadable import UnreadableRows
from decube.services.pods.service import PODS
from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.store.protocol import Store
    from decube.store.types import Revision


@dataclass(frozen=True)
class Scene:
    """What a test acts on."""

    store: Store
    pods: Registry[Pod]
    clock: ManualClock
    metrics: CollectorRegistry

    async def put(self, key: str, value: bytes) -> Revision:
        """Write to the store past the registry."""
        result = await self.store.txn(Txn(success=(Put(key.encode(), value),)))
        return result.revision

    def unreadable(self) -> float:
        """How many reads of unreadable rows were counted."""
        name = "decube_registry_unreadable_rows_total"
        return self.metrics.get_sample_value(name, {"resource": "pods"}) or 0


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with embedded() as store:
        clock, metrics = ManualClock(), CollectorRegistry()
        unreadable = UnreadableRows(metrics)
        pods = Registry(store, PODS, unreadable, clock=clock, ids=SequentialIds())
        yield Scene(store, pods, clock, metrics)


def pod(
    name: str, namespace: str = "default", *, node_name: str = "", phase: str = "", **labels: str
) -> Pod:
    """Make a pod that is not stored."""
    metadata = ObjectMeta(name=Name(name), namespace=Namespace(namespace), labels=labels)
    return Pod(metadata, PodSpec(node_name), PodStatus(phase))
