"""The operator's view of replication: its state, promotion and demotion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from decube.kit.errors import Conflict, Unauthenticated
from decube.services.replication.state import NO_PART, ReplicationState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from decube.services.replication.state import SentRevision
    from decube.store.protocol import Store


class Replicator(Protocol):
    """What replicates this node's store. `daemon` gives one when there is a role."""

    def state(self) -> ReplicationState:
        """Tell who is who, now; never blocks."""
        ...

    async def promote(self) -> None:
        """Become the primary, in a term of one's own. Raises `Conflict` for a primary."""
        ...

    async def demote(self) -> None:
        """Stop writing and follow whoever is primary. Raises `Conflict` for a standby."""
        ...

    async def apply(self, revisions: Sequence[SentRevision]) -> int:
        """Apply revisions of the primary; returns the revision that the store is at then.

        Raises `Conflict`: this is no standby, its primary feeds it, or a gap (`wanted`).
        """
        ...

    def knows(self, token: str) -> bool:
        """Tell whether who says this token is a peer."""
        ...


class ReplicationService:
    """Replication of one node, or the absence of it (`replicator` is None)."""

    def __init__(self, store: Store, replicator: Replicator | None) -> None:
        self._store = store
        self._replicator = replicator

    async def state(self) -> ReplicationState:
        """Tell who is who. A node without a role replicates nothing and has no peers."""
        if self._replicator is None:
            revision = (await self._store.status()).revision
            return msgspec.structs.replace(NO_PART, revision=revision)
        return self._replicator.state()

    async def promote(self) -> ReplicationState:
        """Make this standby the primary. Raises `Conflict` where that makes no sense."""
        replicator = self._required()
        await replicator.promote()
        return replicator.state()

    async def demote(self) -> ReplicationState:
        """Make this primary a standby. Raises `Conflict` where that makes no sense."""
        replicator = self._required()
        await replicator.demote()
        return replicator.state()

    async def apply(
        self, revisions: Sequence[SentRevision], *, token: str, term: int = 0
    ) -> ReplicationState:
        """Apply revisions that a primary sent; what is here already is ignored.

        Raises `Unauthenticated`, `Conflict` (an old term; see `Replicator.apply`) and `Invalid`.
        """
        replicator = self._required()
        if not replicator.knows(token):
            raise Unauthenticated("say the replication token of these nodes: yours is another one")
        own_term = replicator.state().term
        if term and term < own_term:
            raise Conflict(f"term {term} is over: the term is {own_term}", term=own_term)
        await replicator.apply(revisions)
        return replicator.state()

    def _required(self) -> Replicator:
        if self._replicator is None:
            raise Conflict(
                "this node has no part in replication: set replication.role to primary or standby"
            )
        return self._replicator
