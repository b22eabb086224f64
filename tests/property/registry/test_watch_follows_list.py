"""Whoever lists and then follows the watch knows, at every point, what a list would show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT
from tests.support.stores import embedded
from tests.support.waiting import WAIT_S_MAX

from decube.kit.clock import ManualClock
from decube.kit.errors import AlreadyExists, NotFound
from decube.kit.ids import SequentialIds
from decube.model.metadata import ObjectMeta
from decube.model.names import Name, Namespace
from decube.model.pod import Pod
from decube.model.selector_text import parse_selector
from decube.registry.listing import ListQuery
from decube.registry.registry import Registry
from decube.registry.unreadable import UnreadableRows
from decube.registry.watching import ChangeType, WatchQuery
from decube.services.pods.service import PODS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.model.metadata import ResourceVersion
    from decube.model.selector import Selector
    from decube.registry.watching import Changes

DEFAULT = Namespace("default")
EXAMPLES = 60

NAMES = st.sampled_from(["a", "b", "c"])
LABELS = st.fixed_dictionaries({}, optional={"tier": st.sampled_from(["web", "db"])})
STEPS = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete"]), NAMES, LABELS), max_size=12
)
SELECTORS = st.sampled_from(["", "tier=web", "!tier", "tier notin (db)"]).map(parse_selector)


# Without shrinking: where it waits in vain, every try takes as long as the first.
@settings(
    max_examples=EXAMPLES * EFFORT,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(before=STEPS, after=STEPS, selector=SELECTORS, resumed=st.booleans())
def test_the_watch_leads_from_one_list_to_the_next(
    before: list[tuple[str, str, dict[str, str]]],
    after: list[tuple[str, str, dict[str, str]]],
    selector: Selector,
    resumed: bool,  # noqa: FBT001 - an input like the others
) -> None:
    async def follow() -> None:
        async with embedded() as store:
            rows = UnreadableRows()
            pods = Registry(store, PODS, rows, clock=ManualClock(), ids=SequentialIds())
            for step in before:
                await act(pods, *step)
            first = await pods.list(ListQuery(namespace=DEFAULT, selector=selector))
            known = {item.metadata.name: item for item in first.items} if resumed else {}
            seen = first.resource_version if resumed else None
            query = WatchQuery(namespace=DEFAULT, selector=selector, resource_version=seen)
            async with pods.watch(query) as changes:
                for step in after:
                    await act(pods, *step)
                last = await pods.list(ListQuery(namespace=DEFAULT, selector=selector))
                # A store on which nothing happened need not tell progress.
                if seen is None or last.resource_version > seen:
                    async with asyncio.timeout(WAIT_S_MAX):
                        await apply(changes, known, last.resource_version)
            assert known == {item.metadata.name: item for item in last.items}

    asyncio.run(follow())


async def act(pods: Registry[Pod], verb: str, name: str, labels: dict[str, str]) -> None:
    def relabelled(current: Pod) -> Pod:
        metadata = msgspec.structs.replace(current.metadata, labels=labels)
        return msgspec.structs.replace(current, metadata=metadata)

    try:
        if verb == "create":
            metadata = ObjectMeta(name=Name(name), namespace=DEFAULT, labels=labels)
            await pods.create(Pod(metadata))
        elif verb == "update":
            await pods.update(DEFAULT, name, relabelled)
        else:
            await pods.delete(DEFAULT, name)
    except (AlreadyExists, NotFound):
        pass


async def apply(
    changes: AsyncIterator[Changes[Pod]], known: dict[Name, Pod], until: ResourceVersion
) -> None:
    """Follow the watch to a version; every change must fit what is known."""
    async for batch in changes:
        for change in batch.changes:
            name = change.item.metadata.name
            assert (name in known) == (change.type is not ChangeType.ADDED)
            if change.type is ChangeType.DELETED:
                del known[name]
            else:
                known[name] = change.item
        if batch.resource_version is not None and batch.resource_version >= until:
            return
