"""The election key: who holds it leads, for as long as the holder's lease lives.

Written once a term, by a transaction that compares its create revision with 0, and attached to the
holder's lease: it goes with the lease, whether that is revoked or runs out.

    revision 7   put /decube/leader {"node_id":"a",...}, lease 1   a leads, its term is 7
    revision 9   lease 1 ended: delete /decube/leader              nobody leads
    revision 12  put /decube/leader {"node_id":"b",...}, lease 2   b leads, its term is 12

The key's **create revision is the term**, the token that fences writes: revisions never repeat, so
no later holder has the same. The mod revision would do as well until a leader rewrites the value,
to tell another address, say; it would then fence off its own writes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from decube.kit.errors import Compacted, Internal
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    KeyRange,
    LeaseId,
    Put,
    RangeRequest,
    RangeResult,
    Revision,
    Txn,
    WatchRequest,
)

if TYPE_CHECKING:
    from decube.store.protocol import Store
    from decube.store.types import KeyValue, OperationResult

ELECTION_KEY: Final = b"/decube/leader"
READ_HOLDER: Final = RangeRequest(range=KeyRange(ELECTION_KEY))

_ABSENT: Final = Revision(0)


class Candidate(msgspec.Struct, frozen=True):
    """What a node tells of itself in the key's value, as JSON."""

    node_id: str
    address: str


class Leader(msgspec.Struct, frozen=True):
    """Who holds the key. The lease tells holders apart; node ids may be equal by mistake."""

    candidate: Candidate
    lease: LeaseId
    term: Revision
    mod_revision: Revision


class Observation(msgspec.Struct, frozen=True):
    """Who leads as of a revision of the store; None is nobody."""

    revision: Revision
    leader: Leader | None


class Election:
    """What may be done with the key. Keeps nothing: every answer is the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def observe(self) -> Observation:
        """Read who leads."""
        return observation(await self._store.range(READ_HOLDER))

    async def wait_for_change(self, after: Revision, within_s: float) -> None:
        """Wait until the key has changed since a revision, or for that long; then observe anew."""
        request = WatchRequest(range=READ_HOLDER.range, start_revision=Revision(after + 1))
        # History that is gone is a reason to look again, and nothing more.
        with suppress(TimeoutError, Compacted):
            async with asyncio.timeout(within_s), self._store.watch(request) as batches:
                await anext(batches)

    async def claim(self, candidate: Candidate, lease: LeaseId) -> Observation:
        """Take the key unless somebody has it, and tell who has it then.

        Raises `NotFound` when the lease has ended.
        """
        put = Put(ELECTION_KEY, msgspec.json.encode(candidate), lease)
        claimed = await self._store.txn(
            Txn(
                compares=(compare_term(_ABSENT),),
                success=(put, READ_HOLDER),
                failure=(READ_HOLDER,),
            )
        )
        return observation(claimed.results[-1])

    async def clear(self, leader: Leader) -> None:
        """Delete the key unless it was written since it was observed."""
        unchanged = Compare(
            READ_HOLDER.range,
            CompareTarget.MOD_REVISION,
            CompareOperator.EQUAL,
            leader.mod_revision,
        )
        await self._store.txn(Txn(compares=(unchanged,), success=(Delete(READ_HOLDER.range),)))


def compare_term(term: Revision) -> Compare:
    """Return the condition that the key is that of a term."""
    return Compare(READ_HOLDER.range, CompareTarget.CREATE_REVISION, CompareOperator.EQUAL, term)


def observation(read: OperationResult) -> Observation:
    """Tell who leads from the answer to `READ_HOLDER`."""
    if not isinstance(read, RangeResult):
        raise Internal("the election key's read was answered with something else")
    return Observation(read.revision, _leader(read.kvs[0]) if read.kvs else None)


def _leader(found: KeyValue) -> Leader:
    try:
        candidate = msgspec.json.decode(found.value, type=Candidate)
    except msgspec.DecodeError:
        # Written past us. It still holds the key; only who and where it is cannot be told.
        candidate = Candidate("", "")
    return Leader(candidate, found.lease, found.create_revision, found.mod_revision)
