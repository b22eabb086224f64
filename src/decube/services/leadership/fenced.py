"""The store as a leader writes through it: what it writes holds only in its own term.

A process can be stopped between any two instructions, for longer than its lease lives, and go on
without knowing. So no look at a clock makes a write safe; the store itself must refuse it. Each
transaction is nested in one that compares the election key's create revision with the term: when
another term has begun, or none, nothing is written and `NotLeader` names the present leader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.kit.errors import Internal, NotLeader
from decube.services.leadership.election import (
    READ_HOLDER,
    Election,
    compare_term,
    observation,
)
from decube.store.delegating import DelegatingStore
from decube.store.types import Txn, TxnResult

if TYPE_CHECKING:
    from decube.services.leadership.election import Observation
    from decube.store.protocol import Store
    from decube.store.types import LeaseGrant, LeaseId, Revision


class FencedStore(DelegatingStore):
    """A `Store` whose transactions are those of one term of leadership.

    What changes something and is no transaction (leases, compaction) cannot carry the compare: the
    term is checked right before, so a late one can slip through. Use it for what does no harm then.
    A transaction may have 127 operations at one level: nesting takes one of the store's 128.
    """

    def __init__(self, store: Store, term: Revision) -> None:
        super().__init__(store)
        self._term = term
        self._election = Election(store)

    async def txn(self, request: Txn) -> TxnResult:
        """Evaluate a transaction if this term lasts; see `Store.txn`. Raises `NotLeader`."""
        fenced = Txn(
            compares=(compare_term(self._term),), success=(request,), failure=(READ_HOLDER,)
        )
        answer = await self._store.txn(fenced)
        (result,) = answer.results
        if not answer.succeeded:
            raise self._over(observation(result))
        if not isinstance(result, TxnResult):
            raise Internal("a nested transaction was answered with something else")
        return result

    async def lease_grant(self, ttl_s: int, lease_id: LeaseId | None = None) -> LeaseGrant:
        """Grant a lease; see `Store.lease_grant`. Raises `NotLeader`."""
        await self._check_term()
        return await self._store.lease_grant(ttl_s, lease_id)

    async def lease_keep_alive(self, lease_id: LeaseId) -> int:
        """Renew a lease; see `Store.lease_keep_alive`. Raises `NotLeader`."""
        await self._check_term()
        return await self._store.lease_keep_alive(lease_id)

    async def lease_revoke(self, lease_id: LeaseId) -> Revision:
        """End a lease; see `Store.lease_revoke`. Raises `NotLeader`."""
        await self._check_term()
        return await self._store.lease_revoke(lease_id)

    async def compact(self, revision: Revision) -> None:
        """Forget history; see `Store.compact`. Raises `NotLeader`."""
        await self._check_term()
        await self._store.compact(revision)

    async def _check_term(self) -> None:
        observed = await self._election.observe()
        if observed.leader is None or observed.leader.term != self._term:
            raise self._over(observed)

    def _over(self, observed: Observation) -> NotLeader:
        return NotLeader(
            f"the term of leadership that began at revision {self._term} is over",
            leader=observed.leader.candidate.address if observed.leader else None,
        )
