"""Replication of the embedded store, run by threads of the Rust core.

Started before the store's ports are, so that a standby never takes a write. What it tells is the
state of one moment; whoever wants to know of changes asks again.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from decube import _native
from decube.store.embedded.errors import translate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

T = TypeVar("T")


class PeerTls(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates in PEM files. As a client the node shows the same certificate to its peers."""

    cert_file: Path
    key_file: Path
    ca_file: Path | None = None
    client_auth: Literal["none", "request", "require"] = "none"
    reload_interval_s: float


class ReplicationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a node replicates. `role` is that of its first start; what it became later is durable.

    A peer that is silent for `peer_timeout_s` is cut off, tried again after `retry_interval_s`, and
    reported down after `retries_max` tries, though tried for ever.
    """

    role: Literal["primary", "standby"]
    node_id: str
    listen_address: str
    peer_addresses: tuple[str, ...] = ()
    token: str = ""
    tls: PeerTls | None = None
    peer_timeout_s: float = 5.0
    retry_interval_s: float = 1.0
    retries_max: int = 3


class PeerState(msgspec.Struct, frozen=True, kw_only=True):
    """A peer as this node knows it; what it has not told is empty or 0. Times are Unix seconds."""

    address: str
    node_id: str
    role: Literal["none", "primary", "standby"]
    connected: bool
    last_heartbeat_s: float
    term: int
    revision: int
    sequence: int
    lag_s: float
    rest_address: str
    grpc_address: str
    etcd_address: str
    error: str


class MemberState(msgspec.Struct, frozen=True, kw_only=True):
    """This member and its peers. `primary_address` is that of the primary, "" if unknown."""

    role: Literal["primary", "standby"]
    term: int
    revision: int
    sequence: int
    lag_s: float
    primary_address: str
    peers: tuple[PeerState, ...]


class Replication:
    """Replication of one store. To be stopped before the store is closed."""

    def __init__(self, native: _native.Replication) -> None:
        self._native = native
        self.address = native.address

    @classmethod
    async def start(cls, engine: _native.Engine, options: ReplicationOptions) -> Self:
        """Take the role and the address. Peers hear of this node when it is announced.

        Raises `Unavailable` (`reason` `address_in_use`), `Denied` and `Invalid`.
        """
        return cls(await _off_the_loop(lambda: engine.start_replication(options)))

    def state(self) -> MemberState:
        """Tell who is who, now. Quick enough to be asked several times a second."""
        return msgspec.convert(self._native.state(), MemberState)

    def tails(self) -> tuple[str, ...]:
        """Return the files of frames that were never replicated. Lists a directory."""
        return self._native.tails()

    async def ask_peers(self) -> None:
        """Have a primary hear whether another was made the primary while this one was away.

        Then it is a standby when this returns. Waits two seconds at most for those that are silent.
        """
        await _off_the_loop(self._native.ask_peers)

    def announce(self, *, rest: str, grpc: str, etcd: str) -> None:
        """Tell peers where this node's ports are; from the first time on it answers and dials."""
        self._native.announce(rest, grpc, etcd)

    async def promote(self) -> None:
        """Become the primary of a new term. Raises `Conflict` for a primary."""
        await _off_the_loop(self._native.promote)

    async def demote(self) -> None:
        """Become a standby. Raises `Conflict` for a standby."""
        await _off_the_loop(self._native.demote)

    async def copy_revisions(
        self, revisions: list[tuple[int, list[tuple[bytes, bytes | None, int]]]]
    ) -> int:
        """Apply revisions of the primary; returns the revision that the store is at then.

        Each has its writes: key, value (None deletes), lease. Raises `Conflict` (no standby, fed by
        its primary, or a gap: `wanted`), and what a transaction raises.
        """
        return await _off_the_loop(lambda: self._native.copy_revisions(revisions))

    async def stop(self, _grace_s: float = 0.0) -> None:
        """Leave the peers; they wait for nothing. Stopping twice is fine."""
        await asyncio.to_thread(self._native.stop)


async def _off_the_loop(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except _native.StoreError as error:
        raise translate(error) from None
