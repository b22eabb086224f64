"""The one task by which a node follows a leader, takes over from it, and leads itself.

Level-triggered: it reads who leads, and waits for the key to change or for a while, whichever is
first, then reads again. A watch that broke or was compacted away thus costs time, never truth.

What it says is true by its own clock, and ends by itself:

* A leader was heard to lead when the store answered; that is said for one TTL after the question
  was asked. A node that is cut off says that it does not know.
* This node leads until the TTL, less a margin for clocks that run apart, after it last *asked* for
  its lease to be renewed. The store counts from when it answered, which is later: so this node
  stops first. `is_leader` looks at the clock; a process that was stopped is right at once.

The clock does not count while the whole machine sleeps. Only `FencedStore` holds even then.

A term ends (the lease was not renewed in time, the key was taken away, this task is cancelled) in
this order: `is_leader` turns false, the background work is cancelled and awaited, then the lease is
revoked. The next leader's work therefore never overlaps with ours that can still be stopped.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from decube.kit.backoff import Backoff, BackoffPolicy
from decube.kit.clock import SystemClock
from decube.kit.errors import Closed, DecubeError, NotFound, NotLeader
from decube.services.leadership.election import Candidate, Election, Leader
from decube.services.leadership.fenced import FencedStore
from decube.store.types import NO_LEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from decube.kit.clock import Clock
    from decube.store.protocol import Store
    from decube.store.types import LeaseGrant

    LeaderWork = Callable[[FencedStore], Coroutine[Any, Any, None]]

# A lease is renewed when a third of it is over, so that two tries may fail.
RENEWALS_PER_TTL: Final = 3
# Clocks drift by far less; the rest is time for background work to notice.
SAFETY_MARGIN: Final = 0.1
REVOKE_S_MAX: Final = 2.0

_SYSTEM_CLOCK = SystemClock()
_log = structlog.get_logger("decube.leadership")


class _TermOverError(Exception):
    """Ends the tasks of a term; says why."""


class Leadership:
    """Who leads, and whether it is us. `run` it in one task; cancelling that task resigns.

    `work` runs in each term of ours, with a store that is fenced to the term, and is cancelled when
    the term ends. Returning is fine, and so is `NotLeader`; any other failure is `run`'s.
    """

    def __init__(
        self,
        store: Store,
        candidate: Candidate,
        *,
        ttl_s: float,
        work: tuple[LeaderWork, ...] = (),
        clock: Clock = _SYSTEM_CLOCK,
    ) -> None:
        self._store = store
        self._candidate = candidate
        self._ttl_s = max(1, math.ceil(ttl_s))
        self._work = work
        self._clock = clock
        self._election = Election(store)
        self._backoff = Backoff(BackoffPolicy(max_s=self._ttl_s / RENEWALS_PER_TTL), clock=clock)
        # The last lease that was ours, which is over or about to be unless we lead.
        self._lease = NO_LEASE
        # Said until the deadline; `_leads` says whether it is us.
        self._leader: Leader | None = None
        self._leads = False
        self._deadline_s = -math.inf

    @property
    def is_leader(self) -> bool:
        """Whether this node leads, as of now."""
        return self._leads and self._in_time()

    @property
    def leader_address(self) -> str:
        """The leader's address; "" while there is none, or none is known."""
        return self._leader.candidate.address if self._leader and self._in_time() else ""

    async def run(self) -> None:
        """Follow, and lead whenever nobody does. Ends when the store is closed, or cancelled."""
        while True:
            try:
                await self._follow()
                await self._campaign()
            except Closed:
                return
            except DecubeError as error:
                if not self._backoff.failures:
                    _log.warning("cannot take part in the election", error=error.message)
                await self._backoff.pause()

    async def _follow(self) -> None:
        """Watch the leader until there is none."""
        while True:
            asked_s = self._clock.monotonic_s()
            observed = await self._election.observe()
            self._backoff.reset()
            leader = observed.leader
            if leader is None:
                self._forget()
                return
            if leader.lease == NO_LEASE:
                # Written by hand: it would lead for ever.
                _log.warning("the election key has no lease: deleting it", term=leader.term)
                await self._election.clear(leader)
                continue
            if leader.lease == self._lease:
                # Our last term's, which we could not give back then.
                await self._store.lease_revoke(leader.lease)
                continue
            if self._leader is None or self._leader.term != leader.term:
                _log.info("another node leads", leader=leader.candidate.node_id, term=leader.term)
            self._leader, self._leads = leader, False
            self._deadline_s = asked_s + self._ttl_s
            await self._election.wait_for_change(observed.revision, self._ttl_s / RENEWALS_PER_TTL)

    async def _campaign(self) -> None:
        """Try to take the key, and lead while we have it."""
        asked_s = self._clock.monotonic_s()
        lease = await self._store.lease_grant(self._ttl_s)
        self._lease = lease.id
        try:
            claimed = await self._election.claim(self._candidate, lease.id)
            if claimed.leader is not None and claimed.leader.lease == lease.id:
                self._leader, self._leads = claimed.leader, True
                self._renewed(asked_s, lease.ttl_s)
                await self._lead(claimed.leader, lease)
        finally:
            # Also when the answer to the claim was lost: the key may be ours.
            await self._revoke(lease)

    async def _lead(self, leader: Leader, lease: LeaseGrant) -> None:
        """Lead until the term is over."""
        _log.info("this node leads", term=leader.term, ttl_s=lease.ttl_s)
        store = FencedStore(self._store, leader.term)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._end_in_time(), name="leadership-end")
                tasks.create_task(self._renew(lease), name="leadership-renew")
                tasks.create_task(self._watch_key(leader, lease), name="leadership-watch")
                for work in self._work:
                    tasks.create_task(_until_fenced_off(work, store), name="leader-work")
        except* _TermOverError as group:
            reasons = sorted({str(reason) for reason in group.exceptions})
            _log.warning("this node leads no more", term=leader.term, reason=", ".join(reasons))
        finally:
            self._forget()

    async def _end_in_time(self) -> None:
        """End the term when its time is over. However it ends, we say so from then on."""
        try:
            while (left_s := self._deadline_s - self._clock.monotonic_s()) > 0:
                await self._clock.sleep(left_s)
        finally:
            self._forget()
        raise _TermOverError("the lease was not renewed in time")

    async def _renew(self, lease: LeaseGrant) -> None:
        """Renew the lease as long as that works; `_end_in_time` says when it did not."""
        interval_s = lease.ttl_s / RENEWALS_PER_TTL
        backoff = Backoff(BackoffPolicy(max_s=interval_s), clock=self._clock)
        delay_s = interval_s
        while True:
            await self._clock.sleep(delay_s)
            asked_s = self._clock.monotonic_s()
            try:
                self._renewed(asked_s, await self._store.lease_keep_alive(lease.id))
            except (NotFound, Closed) as error:
                raise _TermOverError(f"the lease cannot be renewed: {error.message}") from error
            except DecubeError as error:
                _log.warning("cannot renew the leader's lease yet", error=error.message)
                delay_s = backoff.next_delay_s()
            else:
                backoff.reset()
                delay_s = interval_s

    async def _watch_key(self, leader: Leader, lease: LeaseGrant) -> None:
        """End the term when somebody took the key away; a lease says nothing about that."""
        interval_s = lease.ttl_s / RENEWALS_PER_TTL
        revision = leader.term
        while True:
            try:
                await self._election.wait_for_change(revision, interval_s)
                observed = await self._election.observe()
            except Closed as error:
                raise _TermOverError(error.message) from error
            except DecubeError:
                # Whether we may go on without the store is the lease's business.
                await self._clock.sleep(interval_s)
                continue
            revision = observed.revision
            if observed.leader is None or observed.leader.lease != lease.id:
                raise _TermOverError("the election key was taken away")

    async def _revoke(self, lease: LeaseGrant) -> None:
        """End the lease, and with it the key, so that another node need not wait for the TTL."""
        # Where it does not work, time does it.
        with suppress(DecubeError, TimeoutError):
            async with asyncio.timeout(REVOKE_S_MAX):
                await self._store.lease_revoke(lease.id)

    def _renewed(self, asked_s: float, ttl_s: int) -> None:
        self._deadline_s = asked_s + ttl_s * (1 - SAFETY_MARGIN)

    def _forget(self) -> None:
        self._leader, self._leads = None, False

    def _in_time(self) -> bool:
        return self._clock.monotonic_s() < self._deadline_s


async def _until_fenced_off(work: LeaderWork, store: FencedStore) -> None:
    try:
        await work(store)
    except NotLeader as error:
        raise _TermOverError(error.message) from error
