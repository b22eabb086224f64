"""Replication as it stands: facts of one moment, as this node knows them."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["none", "primary", "standby"]


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another node. What it has not told yet is empty or 0.

    Addresses are `host:port`; `address` is where it replicates. `last_heartbeat` is in seconds
    since the Unix epoch. `lag_seconds` is how old the oldest revision is that it lacks: of a
    standby as its primary sees it, of a primary 0. Of a standby that lacks something and is away it
    is how long ago it was heard of.
    """

    address: str
    node_id: str = ""
    role: Role = "none"
    connected: bool = False
    last_heartbeat: int = 0
    term: int = 0
    revision: int = 0
    lag_seconds: float = 0.0
    rest_address: str = ""
    grpc_address: str = ""
    etcd_address: str = ""
    error: str = ""


class ReplicationState(msgspec.Struct, frozen=True, kw_only=True):
    """This node and its peers.

    `lag_seconds` is how far this node is behind its primary: 0 for one that is not a standby.
    `tails` are the files that hold what this node had written and its new primary did not have.
    """

    role: Role
    term: int
    revision: int
    primary: Peer | None = None
    peers: tuple[Peer, ...] = ()
    lag_seconds: float = 0.0
    tails: tuple[str, ...] = ()


class SentWrite(msgspec.Struct, frozen=True):
    """A key with its new value, None if it was deleted, and the lease it is attached to."""

    key: bytes
    value: bytes | None
    lease: int = 0


class SentRevision(msgspec.Struct, frozen=True):
    """A revision of the primary, as it is sent without its log."""

    revision: int
    writes: tuple[SentWrite, ...]


NO_PART = ReplicationState(role="none", term=0, revision=0)
"""Of a node that replicates nothing; the revision is the store's to tell."""
