"""The registry of one kind: create, get, list, update, delete and watch its objects.

Every write is one transaction that compares the key's modification revision, so it acts on the very
version it was computed from. The registry owns identity and bookkeeping in the metadata (uid,
generation, timestamps, resource version); whatever a caller puts there is replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

import msgspec

from decube.kit.backoff import Backoff, BackoffPolicy
from decube.kit.errors import AlreadyExists, Conflict, Corrupt, NotFound, require
from decube.model.metadata import NOT_STORED, ResourceVersion, StoreLease, Uid
from decube.model.names import Name, Namespace, check_name, check_namespace
from decube.model.timestamps import rfc3339
from decube.registry.beside import NOTHING
from decube.registry.codec import Codec, stamped
from decube.registry.kind import T
from decube.registry.listing import Lister
from decube.registry.unreadable import may_be_in_a_key
from decube.registry.watching import Watcher
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    KeyRange,
    Put,
    RangeRequest,
    RangeResult,
    Txn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from decube.kit.clock import Clock
    from decube.kit.ids import Ids
    from decube.registry.beside import Beside
    from decube.registry.kind import Kind
    from decube.registry.listing import ListQuery, Page
    from decube.registry.unreadable import UnreadableRows
    from decube.registry.watching import Changes, WatchQuery
    from decube.store.protocol import Store
    from decube.store.types import KeyValue, LeaseId, Operation, TxnResult

ATTEMPTS_MAX = 16
"""How often an unconditional update or delete starts over because others wrote meanwhile."""

_ABSENT = 0
_CONTENTION = BackoffPolicy(initial_s=0.001, max_s=0.05)


class Registry(Generic[T]):
    """All objects of one kind."""

    def __init__(
        self, store: Store, kind: Kind[T], unreadable: UnreadableRows, *, clock: Clock, ids: Ids
    ) -> None:
        self._store = store
        self._kind = kind
        self._codec = Codec(kind, unreadable)
        self._lister = Lister(store, kind, self._codec)
        self._watcher = Watcher(store, kind, self._codec, self._lister)
        self._clock = clock
        self._ids = ids

    async def create(self, draft: T, *, beside: Beside = NOTHING) -> T:
        """Store a new object.

        Raises `Invalid`, `AlreadyExists` with the present version, and `Conflict` when a compare
        of `beside` does not hold.
        """
        self._kind.check(draft)
        now = self._now()
        metadata = msgspec.structs.replace(
            draft.metadata,
            uid=Uid(self._ids.uid()),
            generation=1,
            creation_timestamp=now,
            update_timestamp=now,
            deletion_timestamp=None,
            resource_version=NOT_STORED,
        )
        item = msgspec.structs.replace(draft, metadata=metadata)
        key = self._kind.key(metadata.namespace, metadata.name)
        put = Put(key, self._codec.encode(item), beside.lease)
        result = await self._swap(key, _ABSENT, put, beside)
        if result.succeeded:
            version = ResourceVersion(result.revision)
            lease = StoreLease(beside.lease)
            return stamped(item, version, create_version=version, store_lease=lease)
        row = _row_in(result)
        title = self._kind.title(metadata.namespace, metadata.name)
        if row is None:
            raise _not_beside(title)
        raise AlreadyExists(f"{title} exists already", resource_version=str(row.mod_revision))

    def key(self, namespace: str, name: str) -> bytes:
        """Return an object's key in the store. Raises `Invalid` (names)."""
        return self._kind.key(check_namespace(namespace), check_name(name))

    async def get(self, namespace: str, name: str) -> T:
        """Read an object. Raises `NotFound`, `Invalid` (names) and `Corrupt`."""
        row = await self._read(self.key(namespace, name))
        if row is None:
            raise self._not_found(namespace, name)
        return self._codec.decode(row)

    async def list(self, query: ListQuery) -> Page[T]:
        """Read a page of objects; see `listing`."""
        return await self._lister.page(query)

    def watch(self, query: WatchQuery) -> AbstractAsyncContextManager[AsyncIterator[Changes[T]]]:
        """Open a watch; see `watching`."""
        return self._watcher.open(query)

    async def update(
        self,
        namespace: str,
        name: str,
        change: Callable[[T], T],
        *,
        expected: ResourceVersion | None = None,
        beside: Beside = NOTHING,
    ) -> T:
        """Store what `change` makes of the present object.

        With `expected` the object must be at that version, and whatever `beside` compares must
        hold, else `Conflict`. Without, `change` is applied anew to what others wrote meanwhile, a
        bounded number of times. `change` is pure and keeps the name. Also raises `NotFound`,
        `Invalid` and `Corrupt`.
        """
        key = self.key(namespace, name)
        row = await self._read(key)
        backoff = Backoff(_CONTENTION, clock=self._clock)
        for _ in range(ATTEMPTS_MAX):
            if row is None:
                raise self._not_found(namespace, name)
            if expected is not None and _version(row) != expected:
                raise self._conflict(namespace, name, expected, row)
            current = self._codec.decode(row)
            item = self._successor(current, change(current))
            lease = beside.lease or row.lease
            write = self._write_of(row.key, item, lease)
            result = await self._swap(row.key, row.mod_revision, write, beside)
            if result.succeeded:
                version = ResourceVersion(result.revision)
                return stamped(item, version, store_lease=StoreLease(lease))
            before, row = row, _row_in(result)
            if row is not None and row.mod_revision == before.mod_revision:
                raise _not_beside(self._kind.title(namespace, name))
            if expected is None:
                await backoff.pause()
                row = await self._read(key)
        raise self._too_busy("update", namespace, name, row)

    async def delete(
        self, namespace: str, name: str, *, expected: ResourceVersion | None = None
    ) -> bool:
        """Delete an object, or, while finalizers are left, mark it as being deleted.

        Tells whether there was one: a row that cannot be read is one as well, and goes, also one
        whose name no object can have (`Invalid` where there is none such). With `expected` the
        object must be at that version, else `Conflict`.
        """
        key = self._key_of_a_row(namespace, name)
        row = await self._read(key)
        if row is None:
            self.key(namespace, name)
        backoff = Backoff(_CONTENTION, clock=self._clock)
        for _ in range(ATTEMPTS_MAX):
            if row is None:
                return False
            if expected is not None and _version(row) != expected:
                raise self._conflict(namespace, name, expected, row)
            item = self._doomed(row)
            write = self._write_of(row.key, item, row.lease)
            result = await self._swap(row.key, row.mod_revision, write)
            if result.succeeded:
                return True
            row = _row_in(result)
            if expected is None:
                await backoff.pause()
                row = await self._read(key)
        raise self._too_busy("delete", namespace, name, row)

    def _key_of_a_row(self, namespace: str, name: str) -> bytes:
        """Return a key that somebody may have written past the API. Raises `Invalid`."""
        for text in (namespace, name):
            if not may_be_in_a_key(text):
                return self.key(namespace, name)
        return self._kind.key(Namespace(namespace), Name(name))

    async def _read(self, key: bytes) -> KeyValue | None:
        result = await self._store.range(RangeRequest(range=KeyRange(key)))
        return result.kvs[0] if result.kvs else None

    async def _swap(
        self, key: bytes, mod_revision: int, write: Operation, beside: Beside = NOTHING
    ) -> TxnResult:
        """Do the write, and those beside it, if the key is at that revision, else read it."""
        row = KeyRange(key)
        unchanged = Compare(row, CompareTarget.MOD_REVISION, CompareOperator.EQUAL, mod_revision)
        return await self._store.txn(
            Txn(
                compares=(unchanged, *beside.compares),
                success=(write, *beside.writes),
                failure=(RangeRequest(range=row),),
            )
        )

    def _write_of(self, key: bytes, item: T | None, lease: LeaseId) -> Operation:
        """Return what stores this state: one that waits for nothing more to be deleted goes."""
        if item is None or (item.metadata.deletion_timestamp and not item.metadata.finalizers):
            return Delete(KeyRange(key))
        return Put(key, self._codec.encode(item), lease)

    def _successor(self, current: T, changed: T) -> T:
        """Carry the bookkeeping over from the present version to the next."""
        before, after = current.metadata, changed.metadata
        require(
            (after.namespace, after.name) == (before.namespace, before.name),
            "an update keeps the object's name",
        )
        metadata = msgspec.structs.replace(
            after,
            uid=before.uid,
            generation=before.generation + (changed.spec != current.spec),
            creation_timestamp=before.creation_timestamp,
            update_timestamp=self._now(),
            deletion_timestamp=before.deletion_timestamp,
            create_version=before.create_version,
        )
        item = msgspec.structs.replace(changed, metadata=metadata)
        self._kind.check(item)
        return item

    def _doomed(self, row: KeyValue) -> T | None:
        """Return the object as its deletion leaves it; None when the row is unreadable."""
        try:
            item = self._codec.decode(row)
        except Corrupt:
            return None
        if item.metadata.deletion_timestamp:
            return item
        metadata = msgspec.structs.replace(item.metadata, deletion_timestamp=self._now())
        return msgspec.structs.replace(item, metadata=metadata)

    def _now(self) -> str:
        return rfc3339(self._clock.now())

    def _not_found(self, namespace: str, name: str) -> NotFound:
        return NotFound(f"{self._kind.title(namespace, name)} not found")

    def _conflict(
        self, namespace: str, name: str, expected: ResourceVersion, row: KeyValue
    ) -> Conflict:
        return Conflict(
            f"{self._kind.title(namespace, name)} is at resource version {row.mod_revision}, "
            f"not {expected}: read it again",
            resource_version=str(row.mod_revision),
        )

    def _too_busy(self, verb: str, namespace: str, name: str, row: KeyValue | None) -> Conflict:
        return Conflict(
            f"cannot {verb} {self._kind.title(namespace, name)}: others changed it "
            f"{ATTEMPTS_MAX} times meanwhile; try again",
            resource_version=None if row is None else str(row.mod_revision),
        )


def _not_beside(title: str) -> Conflict:
    return Conflict(f"{title} was not written: what goes with it changed meanwhile; read it again")


def _version(row: KeyValue) -> ResourceVersion:
    return ResourceVersion(row.mod_revision)


def _row_in(result: TxnResult) -> KeyValue | None:
    """Take what a failed swap read."""
    read = result.results[0]
    require(isinstance(read, RangeResult), "a failed swap answers with a range")
    return read.kvs[0] if isinstance(read, RangeResult) and read.kvs else None
