"""Fills an empty store from an image, in batches, so that it can be taken up where it ended.

etcd cannot swap its contents as our engine can. So the keys are put, in their order, some in each
transaction; the same transaction notes in a key of ours how far it is. Whoever comes again with the
same image goes on behind that key, and a second filler at the same time is refused by a compare on
it. The last thing is to delete it. Until then the store is not whole, and says so by having it.

Leases are granted again under their own ids, with their full TTL, before the keys that are attached
to them, and kept alive as long as this takes. Revisions are the new store's own.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec

from decube import _native
from decube.kit.backoff import Backoff, BackoffPolicy
from decube.kit.clock import SystemClock
from decube.kit.errors import AlreadyExists, Conflict, Corrupt, NotFound, Unavailable
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    KeyRange,
    LeaseId,
    Put,
    RangeRequest,
    Txn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from decube.kit.clock import Clock
    from decube.store.protocol import Store
    from decube.store.types import KeyValue, Revision

PROGRESS_KEY: Final = b"/decube/restore-in-progress"
# One of etcd's 128 operations is the note.
BATCH_KEYS_MAX: Final = 127
BATCH_BYTES_MAX: Final = 1 << 20
TRIES_MAX: Final = 8
KEEP_ALIVES_PER_TTL: Final = 3
LEASES_AT_ONCE: Final = 32

_NOTE: Final = KeyRange(PROGRESS_KEY)
_EVERYTHING: Final = KeyRange(b"\0", b"\0")
_ABSENT: Final = 0
_SYSTEM_CLOCK: Final = SystemClock()


class Note(msgspec.Struct, frozen=True):
    """How far a fill is: all keys up to `last_key` (base64) of the image with that hash are in."""

    image_sha256: str
    last_key: str = ""
    keys: int = 0


class Filling:
    """One fill of one store. `image_sha256` tells images apart."""

    def __init__(self, store: Store, image_sha256: str, clock: Clock = _SYSTEM_CLOCK) -> None:
        self._store = store
        self._clock = clock
        self._note = Note(image_sha256)
        self._seen: Revision | int = _ABSENT
        self._resumed_after = b""
        self._batch: list[Put] = []
        self._batch_bytes = 0
        self._ttls: dict[LeaseId, int] = {}

    async def run(self, pieces: AsyncIterable[bytes]) -> int:
        """Fill the store, and return how many keys the image has.

        Raises `Conflict` for a store that holds something else, or is filled by somebody else, and
        `Corrupt` for the image: the store then has a part of it, and can be emptied.
        """
        await self._begin()
        keeping = asyncio.create_task(self._keep_leases(), name="fill-leases")
        try:
            await self._take(pieces)
            await self._flush(last=True)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        return self._note.keys

    async def _take(self, pieces: AsyncIterable[bytes]) -> None:
        decoder = _native.ImageDecoder()
        try:
            async for piece in pieces:
                for item in await asyncio.to_thread(decoder.feed, piece):
                    await self._accept(item)
            decoder.finish()
        except _native.StoreError as error:
            raise Corrupt(f"the image is damaged: {error.args[1]}") from None

    async def _begin(self) -> None:
        """Find the note of an earlier fill, or leave the first on an empty store."""
        found = await self._read_note()
        if found is None:
            request = RangeRequest(range=_EVERYTHING, count_only=True)
            if count := (await self._store.range(request)).count:
                raise Conflict(
                    f"the store is not empty: it has {count} keys",
                    hint="fill a new one; what is there is never replaced",
                )
            await self._write((), self._note)
            return
        note = _read(found)
        if note is None or note.image_sha256 != self._note.image_sha256:
            raise Conflict(
                "the store is in the middle of being filled from another snapshot",
                hint=f"go on with that one, or empty the store, {PROGRESS_KEY.decode()} included",
            )
        self._seen, self._note = found.mod_revision, note
        self._resumed_after = base64.b64decode(note.last_key)

    async def _accept(self, item: Any) -> None:  # noqa: ANN401 - an item of the extension module
        match item:
            case ("lease", lease_id, ttl_s, _):
                await self._grant(LeaseId(lease_id), ttl_s)
            case ("put", (key, value, _, _, _, lease)) if key > self._resumed_after:
                if key == PROGRESS_KEY:
                    return  # of a store that was being filled itself
                size = len(key) + len(value)
                full = len(self._batch) == BATCH_KEYS_MAX
                if self._batch and (full or self._batch_bytes + size > BATCH_BYTES_MAX):
                    await self._flush()
                self._batch.append(Put(key, value, LeaseId(lease)))
                self._batch_bytes += size

    async def _flush(self, *, last: bool = False) -> None:
        """Write the batch with the note; at last without it."""
        puts = tuple(self._batch)
        self._batch, self._batch_bytes = [], 0
        keys = self._note.keys + len(puts)
        if puts:
            last_key = base64.b64encode(puts[-1].key).decode()
            await self._write(puts, Note(self._note.image_sha256, last_key, keys))
        if last:
            await self._write((), None)

    async def _write(self, puts: tuple[Put, ...], note: Note | None) -> None:
        """Write a batch once, whatever becomes of the answers: the note tells whether it is in."""
        operation = Delete(_NOTE) if note is None else Put(PROGRESS_KEY, msgspec.json.encode(note))
        unchanged = Compare(
            _NOTE, CompareTarget.MOD_REVISION, CompareOperator.EQUAL, int(self._seen)
        )
        request = Txn(compares=(unchanged,), success=(*puts, operation))
        backoff = Backoff(BackoffPolicy(initial_s=0.2, max_s=5.0), clock=self._clock)
        while True:
            try:
                answer = await self._store.txn(request)
            except Unavailable:
                if backoff.failures + 1 >= TRIES_MAX:
                    raise
                await backoff.pause()
                continue
            if answer.succeeded:
                self._seen = answer.revision
            elif not backoff.failures or not await self._is_written(note):
                raise Conflict("somebody else fills or changes the store at the same time")
            self._note = note or self._note
            return

    async def _is_written(self, note: Note | None) -> bool:
        """Tell whether a try whose answer was lost did it after all."""
        found = await self._read_note()
        self._seen = _ABSENT if found is None else found.mod_revision
        return (found and _read(found)) == note

    async def _grant(self, lease_id: LeaseId, ttl_s: int) -> None:
        try:
            await self._store.lease_grant(ttl_s, lease_id)
        except AlreadyExists:
            await self._store.lease_keep_alive(lease_id)
        self._ttls[lease_id] = ttl_s

    async def _keep_leases(self) -> None:
        """Keep what was granted alive until its keys are in."""
        while True:
            shortest_s = min(self._ttls.values(), default=1)
            await self._clock.sleep(max(shortest_s / KEEP_ALIVES_PER_TTL, 0.5))
            gate = asyncio.Semaphore(LEASES_AT_ONCE)

            async def keep(lease_id: LeaseId, gate: asyncio.Semaphore = gate) -> None:
                async with gate:
                    try:
                        await self._store.lease_keep_alive(lease_id)
                    except (NotFound, Unavailable):
                        return

            await asyncio.gather(*map(keep, tuple(self._ttls)))

    async def _read_note(self) -> KeyValue | None:
        kvs = (await self._store.range(RangeRequest(range=_NOTE))).kvs
        return kvs[0] if kvs else None


def _read(found: KeyValue) -> Note | None:
    try:
        return msgspec.json.decode(found.value, type=Note)
    except msgspec.DecodeError:
        return None
