"""Watches: every change of the selected objects, in order, from a resource version on.

The events are those of the selection, not of the store: an object whose labels come to match is
`ADDED`, one whose labels cease to is `DELETED`. With the selector `tier=web`:

    put a tier=web     -> ADDED a           put a tier=web, status  -> MODIFIED a
    put a tier=db      -> DELETED a         put a tier=web          -> ADDED a
    delete a           -> DELETED a (its last state, at the revision of the deletion)

Without a resource version the objects that exist come first, as `ADDED`, then what changes from
there on.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Generic

import msgspec

from decube.kit.errors import Compacted, Invalid
from decube.model.metadata import ObjectMeta, ResourceVersion
from decube.model.names import Namespace
from decube.model.selector import EVERYTHING, Selector
from decube.registry.codec import stamped
from decube.registry.kind import T
from decube.registry.listing import PAGE_LIMIT_DEFAULT, ListQuery
from decube.store.types import RangeRequest, Revision, WatchRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from decube.registry.codec import Codec
    from decube.registry.kind import Kind
    from decube.registry.listing import Lister, Page
    from decube.store.protocol import Store
    from decube.store.types import Event, KeyValue, WatchBatch


class ChangeType(Enum):
    """What happened to an object, as seen through the selector."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class WatchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch. `resource_version`: what was seen last; None wants the present state first."""

    namespace: Namespace | None
    selector: Selector = EVERYTHING
    resource_version: ResourceVersion | None = None


class Change(msgspec.Struct, Generic[T], frozen=True):
    """One change and the object after it (for a deletion: its last state)."""

    type: ChangeType
    item: T


class Changes(msgspec.Struct, Generic[T], frozen=True):
    """Everything up to `resource_version` has been told, so that a watch can be resumed from it.

    It is None inside the present state that a watch starts with, which can only be had whole.
    Without changes it is progress.
    """

    changes: tuple[Change[T], ...]
    resource_version: ResourceVersion | None


class Watcher(Generic[T]):
    """Opens watches on one kind."""

    def __init__(self, store: Store, kind: Kind[T], codec: Codec[T], lister: Lister[T]) -> None:
        self._store = store
        self._kind = kind
        self._codec = codec
        self._lister = lister

    @asynccontextmanager
    async def open(self, query: WatchQuery) -> AsyncIterator[AsyncIterator[Changes[T]]]:
        """Open a watch; a change made once it is open is seen.

        Opening raises `Compacted` and `Invalid` (a version the store has not reached); iterating
        raises `Compacted`.
        """
        present: Page[T] | None = None
        if query.resource_version is None:
            present = await self._lister.page(_listing_of(query))
            seen = present.resource_version
        else:
            seen = query.resource_version
            await self._check_reachable(seen)
        request = WatchRequest(
            range=self._kind.scope(query.namespace),
            start_revision=Revision(seen + 1),
            prev_kv=True,
            progress=True,
        )
        async with self._store.watch(request) as batches:
            yield self._changes(query, present, batches)

    async def _changes(
        self, query: WatchQuery, present: Page[T] | None, batches: AsyncIterator[WatchBatch]
    ) -> AsyncIterator[Changes[T]]:
        while present is not None:
            added = tuple(Change(ChangeType.ADDED, item) for item in present.items)
            if not present.continue_token:
                yield Changes(added, present.resource_version)
                break
            yield Changes(added, None)
            present = await self._lister.page(_listing_of(query, present.continue_token))
        async for batch in batches:
            found = (self._change(event, query.selector) for event in batch.events)
            yield Changes(
                tuple(change for change in found if change is not None),
                ResourceVersion(batch.revision),
            )

    async def _check_reachable(self, seen: ResourceVersion) -> None:
        """Read at the version: a future or forgotten one is refused now, not waited for."""
        prefix = self._kind.scope()
        try:
            await self._store.range(
                RangeRequest(range=prefix, limit=1, keys_only=True, revision=Revision(seen))
            )
        except Invalid as error:
            raise Invalid(
                f"resource_version {seen} is ahead of the store: list anew and watch from there",
                field="resource_version",
            ) from error
        except Compacted as error:
            raise Compacted(
                f"resource_version {seen} is compacted: list anew and watch from there",
                compact_revision=error.compact_revision,
            ) from error

    def _change(self, event: Event, selector: Selector) -> Change[T] | None:
        before = None if event.previous is None else self._selected(event.previous, selector)
        if event.deleted:
            if event.previous is None:  # its history is gone: tell at least who it was
                return Change(ChangeType.DELETED, self._bare(event.kv))
            return None if before is None else self._deleted(before, event.kv)
        now = self._selected(event.kv, selector)
        if now is None:
            return None if before is None else self._deleted(before, event.kv)
        return Change(ChangeType.ADDED if before is None else ChangeType.MODIFIED, now)

    def _selected(self, row: KeyValue, selector: Selector) -> T | None:
        item = self._codec.decode_or_report(row)
        return item if item is not None and selector.matches(item.metadata.labels) else None

    def _deleted(self, last: T, row: KeyValue) -> Change[T]:
        return Change(ChangeType.DELETED, stamped(last, ResourceVersion(row.mod_revision)))

    def _bare(self, row: KeyValue) -> T:
        namespace, name = self._kind.identity(row.key)
        return stamped(
            self._kind.type(metadata=ObjectMeta(name=name, namespace=namespace)),
            ResourceVersion(row.mod_revision),
        )


def _listing_of(query: WatchQuery, continue_token: str = "") -> ListQuery:
    return ListQuery(
        namespace=query.namespace,
        selector=query.selector,
        limit=PAGE_LIMIT_DEFAULT,
        continue_token=continue_token,
    )
