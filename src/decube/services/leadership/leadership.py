"""The one task by which a node follows a leader, takes over from it, and leads itself.

Level-triggered: it reads who leads, and waits for the key to change or for a while, whichever is
first, then reads again. A watch that broke or was compacted away thus costs time, never truth.

What it says is true by its own clock, and ends by itself:

* Another node led when the store answered; that is said for one TTL, and 30 s at most, after the
  question was asked. A node that is cut off says that it does not know.
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
# However long leases live, who leads is asked anew that often; three times that it is believed.
RECHECK_S_MAX: Final = 10.0
# Clocks drift by far less; the rest is time for background work to notice.
SAFETY_MARGIN: Final = 0.1
REVOKE_S_MAX: Final = 2.0

_SYSTEM_CLOCK = SystemClock()
_log = structlog.get_logger("decube.leadership")


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
        self._recheck_s = min(self._ttl_s / RENEWALS_PER_TTL, RECHECK_S_MAX)
        self._work = work
        self._clock = clock
        self._election = Election(store)
        self._backoff = Backoff(BackoffPolicy(max_s=self._recheck_s), clock=clock)
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
        if self._leader is None or not self._in_time():
            return ""
        leader = self._leader.candidate
        # A key of ours that we do not hold is of an earlier process of this node: nobody leads.
        return leader.address if self._leads or leader != self._candidate else ""

    async def run(self) -> None:
        """Follow, and lead whenever nobody does. Ends when the store is closed, or cancelled."""
        while True:
            try:
                await self._follow()
                await self._campaign()
                self._backoff.reset()
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
            leader = observed.leader
            if leader is None:
                self._forget()
                return
            if leader.lease in (NO_LEASE, self._lease):
                await self._clear_away(leader)
                continue
            self._meet(leader)
            self._leader, self._leads = leader, False
            self._deadline_s = asked_s + self._recheck_s * RENEWALS_PER_TTL
            await self._election.wait_for_change(observed.revision, self._recheck_s)
            self._backoff.reset()

    def _meet(self, leader: Leader) -> None:
        """Log who leads, once a term."""
        if self._leader is not None and self._leader.term == leader.term:
            return
        other, own = leader.candidate, self._candidate
        _log.info("another node leads", leader=other.node_id, address=other.address)
        if other.node_id == own.node_id and other.address != own.address:
            _log.warning("the leader has the id of this node: set another node.id", id=own.node_id)

    async def _clear_away(self, leader: Leader) -> None:
        """Remove a key by which nobody leads."""
        if leader.lease == NO_LEASE:
            _log.warning("the election key has no lease and would stay for ever: it is deleted")
            await self._election.clear(leader)
            return
        # Of our last term, which is over; the store could not be told then.
        with suppress(NotFound):
            await self._store.lease_revoke(leader.lease)

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
        """Lead until a part of the term says why it is over."""
        _log.info("this node leads", term=leader.term, ttl_s=lease.ttl_s)
        store = FencedStore(self._store, leader.term)
        parts: list[Coroutine[Any, Any, str | None]] = [
            self._end_in_time(),
            self._renew(lease),
            self._watch_key(leader, lease),
        ]
        parts += [_until_fenced_off(work, store) for work in self._work]
        over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(_end_with(part, over), name="leadership-term") for part in parts
            ]
            try:
                reason = await over
                _log.warning("this node leads no more", term=leader.term, reason=reason)
            finally:
                self._forget()
                for task in running:
                    task.cancel()

    async def _end_in_time(self) -> str:
        """Wait until the term's time is over, however often that is put off."""
        while (left_s := self._deadline_s - self._clock.monotonic_s()) > 0:
            await self._clock.sleep(left_s)
        return "the lease was not renewed in time"

    async def _renew(self, lease: LeaseGrant) -> str:
        """Renew the lease until it is gone; that it took too long is said by `_end_in_time`."""
        interval_s = lease.ttl_s / RENEWALS_PER_TTL
        backoff = Backoff(BackoffPolicy(max_s=interval_s), clock=self._clock)
        delay_s = interval_s
        while True:
            await self._clock.sleep(delay_s)
            asked_s = self._clock.monotonic_s()
            try:
                self._renewed(asked_s, await self._store.lease_keep_alive(lease.id))
            except (NotFound, Closed) as error:
                return f"the lease cannot be renewed: {error.message}"
            except DecubeError as error:
                if not backoff.failures:
                    _log.warning("cannot renew the leader's lease", error=error.message)
                delay_s = backoff.next_delay_s()
            else:
                backoff.reset()
                delay_s = interval_s

    async def _watch_key(self, leader: Leader, lease: LeaseGrant) -> str:
        """Wait until somebody took the key away; the lease would not tell."""
        revision = leader.term
        while True:
            try:
                await self._election.wait_for_change(revision, self._recheck_s)
                observed = await self._election.observe()
            except Closed as error:
                return error.message
            except DecubeError:
                # Whether we may go on without the store is the lease's business.
                await self._clock.sleep(self._recheck_s)
                continue
            revision = observed.revision
            if observed.leader is None or observed.leader.lease != lease.id:
                return "the election key was taken away"

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


async def _until_fenced_off(work: LeaderWork, store: FencedStore) -> str | None:
    """Do the leader's work; that it has ended is no reason to end the term, the fence is one."""
    try:
        await work(store)
    except NotLeader as error:
        return error.message
    return None


async def _end_with(part: Coroutine[Any, Any, str | None], over: asyncio.Future[str]) -> None:
    reason = await part
    if reason is not None and not over.done():
        over.set_result(reason)
