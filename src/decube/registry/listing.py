"""Lists: bounded pages of one revision.

All pages of a list are read at the revision of the first, which its token pins: a client that
follows them sees one moment of the store. A page ends at `limit` objects, at `PAGE_BYTES_MAX` of
stored data or after `PAGE_ROWS_READ_MAX` rows looked at, whichever comes first; so a page may have
fewer objects than asked for, even none, and still have a successor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

import msgspec

from decube.kit.errors import Compacted, Invalid
from decube.model.metadata import ResourceVersion
from decube.model.names import Namespace
from decube.model.selector import EVERYTHING, Selector
from decube.registry.continue_token import Position, listing_digest, read_token, write_token
from decube.registry.kind import T
from decube.store.types import LATEST, KeyRange, RangeRequest, Revision

if TYPE_CHECKING:
    from decube.registry.codec import Codec
    from decube.registry.kind import Kind
    from decube.store.protocol import Store
    from decube.store.types import KeyValue, RangeResult

PAGE_LIMIT_DEFAULT = 500
PAGE_LIMIT_MAX = 5_000
PAGE_BYTES_MAX = 2 * 1024 * 1024
"""Leaves a page below gRPC's usual message limit of 4 MiB whatever the last object's size."""
PAGE_ROWS_READ_MAX = 20_000

UNREADABLE_NAMES_MAX = 3
"""How many are told by name: the log has them all."""
UNREADABLE_NAME_LENGTH_MAX = 4096
"""Longer ones are only counted: a key may have any length, and a page has not."""

_CHUNK_ROWS_FIRST = 64
_CHUNK_ROWS_MAX = 500


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to list: a namespace, or all with None. `limit` 0 means the default.

    `fields` are of those the kind has; an object is listed if each has the value given.
    """

    namespace: Namespace | None
    selector: Selector = EVERYTHING
    fields: dict[str, str] = {}
    limit: int = 0
    continue_token: str = ""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Objects in key order, as they were at `resource_version`.

    `unreadable` rows were left out; `unreadable_names` are the first of them: what their keys are
    behind the kind's prefix, as `kit.escaping` writes it.
    """

    items: tuple[T, ...]
    resource_version: ResourceVersion
    continue_token: str = ""
    unreadable: int = 0
    unreadable_names: tuple[str, ...] = ()


class Lister(Generic[T]):
    """Reads pages of one kind."""

    def __init__(self, store: Store, kind: Kind[T], codec: Codec[T]) -> None:
        self._store = store
        self._kind = kind
        self._codec = codec

    async def page(self, query: ListQuery) -> Page[T]:
        """Read one page. Raises `Invalid` (limit, token) and `Compacted` (the token's revision)."""
        prefix = self._kind.prefix(query.namespace)
        filters = (part for pair in sorted(query.fields.items()) for part in pair)
        listing = listing_digest(
            self._kind.resource, query.namespace or "*", str(query.selector), *filters
        )
        position = read_token(query.continue_token, listing) if query.continue_token else None
        reading: _Reading[T] = _Reading(prefix, position, page_limit(query.limit))
        while not reading.is_full:
            result = await self._read(reading, query)
            self._take(result, reading, query)
            if not reading.more:
                break
        token = ""
        if reading.more:
            last = reading.last_key[len(prefix) :].decode(errors="surrogateescape")
            token = write_token(Position(ResourceVersion(reading.revision), last), listing)
        return Page(
            tuple(reading.items),
            ResourceVersion(reading.revision),
            token,
            reading.unreadable,
            tuple(reading.unreadable_names),
        )

    async def _read(self, reading: _Reading[T], query: ListQuery) -> RangeResult:
        try:
            return await self._store.range(
                RangeRequest(
                    range=reading.rest,
                    limit=reading.chunk_rows(query),
                    revision=reading.revision,
                )
            )
        except Compacted as error:
            raise Compacted(
                f"the list of {self._kind.resource} that this page continues was taken at a "
                "revision that is compacted by now: list anew, without the token",
                compact_revision=error.compact_revision,
            ) from error

    def _take(self, result: RangeResult, reading: _Reading[T], query: ListQuery) -> None:
        if reading.revision == LATEST:
            reading.revision = result.revision
        taken = 0
        for row in result.kvs:
            taken += 1
            reading.count(row)
            item = self._codec.decode_or_report(row)
            if item is None:
                reading.leave_out(self._kind.told(row.key))
            elif query.selector.matches(item.metadata.labels) and self._kind.has(
                item, query.fields
            ):
                reading.items.append(item)
            if reading.is_full:
                break
        if taken:
            reading.go_on_after(result.kvs[taken - 1].key)
        reading.more = result.more or taken < len(result.kvs)


class _Reading(Generic[T]):
    """A page in the making."""

    def __init__(self, prefix: bytes, position: Position | None, limit: int) -> None:
        self._limit = limit
        self.rest = KeyRange.prefix(prefix)
        self.last_key = prefix
        self.revision = LATEST
        if position is not None:
            self.revision = Revision(position.resource_version)
            self.go_on_after(prefix + position.last_key.encode(errors="surrogateescape"))
        self.items: list[T] = []
        self.unreadable = 0
        self.unreadable_names: list[str] = []
        self.more = True
        self._rows = 0
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return (
            len(self.items) >= self._limit
            or self._bytes >= PAGE_BYTES_MAX
            or self._rows >= PAGE_ROWS_READ_MAX
        )

    def count(self, row: KeyValue) -> None:
        self._rows += 1
        self._bytes += len(row.value)

    def leave_out(self, name: str) -> None:
        self.unreadable += 1
        room = len(self.unreadable_names) < UNREADABLE_NAMES_MAX
        if room and len(name) <= UNREADABLE_NAME_LENGTH_MAX:
            self.unreadable_names.append(name)

    def go_on_after(self, key: bytes) -> None:
        self.last_key = key
        self.rest = KeyRange(key + b"\0", self.rest.end)

    def chunk_rows(self, query: ListQuery) -> int:
        """Read as many rows at once as are likely wanted and surely fit."""
        takes_all = query.selector.is_everything and not query.fields
        rows_max = self._limit - len(self.items) if takes_all else _CHUNK_ROWS_MAX
        if not self._rows:
            return min(rows_max, _CHUNK_ROWS_FIRST)
        average = max(1, self._bytes // self._rows)
        return max(1, min(rows_max, _CHUNK_ROWS_MAX, (PAGE_BYTES_MAX - self._bytes) // average))


def page_limit(limit: int) -> int:
    """Return the limit in effect; raise `Invalid` for one out of bounds."""
    if not 0 <= limit <= PAGE_LIMIT_MAX:
        raise Invalid(
            f"limit {limit} is out of bounds: 1 to {PAGE_LIMIT_MAX}, or 0 for the default "
            f"of {PAGE_LIMIT_DEFAULT}",
            field="limit",
        )
    return limit or PAGE_LIMIT_DEFAULT
