"""What this node is and where it listens: facts that the APIs tell, gathered by the daemon."""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

ALARMS: Final = ("NOSPACE",)
"""What can be raised, by etcd's names."""


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A node as `GET /node/info` tells it.

    Addresses are `host:port`, with `https://` before it where the listener speaks TLS; "" is a
    closed listener. `role` is the node's part in replication, with `term` and `lag_seconds` 0 for
    `none`; a primary has no lag.
    """

    node_id: str
    version: str
    is_leader: bool
    leader_addr: str
    address: str
    etcd_address: str = ""
    grpc_address: str = ""
    peer_address: str = ""
    role: Literal["none", "primary", "standby"] = "none"
    term: int = 0
    lag_seconds: float = 0.0


class NodeInfoSource(Protocol):
    """Who knows. Asked at every request, so that leadership is told as it is now."""

    def node_info(self) -> NodeInfo:
        """Tell the present facts; never blocks."""
        ...

    def stopped(self) -> str:
        """Tell why the store takes no more writes until a restart, "" while it does."""
        ...

    def alarm(self) -> str:
        """Name the alarm that is raised, as etcd does (`NOSPACE`), "" for none."""
        ...
