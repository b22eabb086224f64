"""What the node tells of itself: filled in as its listeners open, read at every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from decube.daemon.addresses import advertised
from decube.kit.version import product_version
from decube.services.node import NodeInfo
from decube.services.replication import NO_PART

if TYPE_CHECKING:
    from decube.config.settings import Settings
    from decube.kit.addresses import Address
    from decube.services.replication import ReplicationState


class LeadershipSource(Protocol):
    """Who knows who leads."""

    @property
    def is_leader(self) -> bool:
        """Whether this node leads, as of now."""
        ...

    @property
    def leader_address(self) -> str:
        """The leader's REST address, "" while there is none."""
        ...


class SoleLeader:
    """An embedded store has one node: it leads."""

    is_leader = True

    def __init__(self, facts: NodeFacts) -> None:
        self._facts = facts

    @property
    def leader_address(self) -> str:
        """This node's REST address."""
        return self._facts.rest_address


class NobodyYet:
    """On a shared store, until this node takes part in the election."""

    is_leader = False
    leader_address = ""


class ReplicationSource(Protocol):
    """Who knows the node's part in replication."""

    def look(self) -> ReplicationState:
        """Tell who is who, now, quickly."""
        ...


class HealthSource(Protocol):
    """Who knows how the node's own store is."""

    def stopped(self) -> str:
        """Tell why it takes no more writes, "" while it does."""
        ...

    def alarm(self) -> str:
        """Name the alarm that is raised, "" for none."""
        ...


class NodeFacts:
    """The `NodeInfoSource` of the APIs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        shared = settings.store.backend == "etcd"
        self.leadership: LeadershipSource = NobodyYet() if shared else SoleLeader(self)
        self.replication: ReplicationSource | None = None
        # None on the backend `etcd`, whose own endpoints tell how it is.
        self.health: HealthSource | None = None
        self.peer_address = ""
        self.rest_address = ""
        self.grpc_address = ""
        # On the backend `etcd` that is where its API is.
        self.etcd_address = ",".join(settings.store.endpoints)

    def told(self, bound: Address) -> str:
        """Return the address by which others reach a bound one; that of TLS begins with https."""
        address = str(advertised(bound, self.settings.node.advertise_host))
        return f"https://{address}" if self.settings.security.tls_enabled else address

    def node_info(self) -> NodeInfo:
        """Tell the present facts."""
        state = self.replication.look() if self.replication is not None else NO_PART
        return NodeInfo(
            node_id=self.settings.node.id,
            version=product_version(),
            is_leader=self.leadership.is_leader,
            leader_addr=self.leadership.leader_address,
            address=self.rest_address,
            etcd_address=self.etcd_address,
            grpc_address=self.grpc_address,
            peer_address=self.peer_address,
            role=state.role,
            term=state.term,
            lag_seconds=state.lag_seconds,
        )

    def stopped(self) -> str:
        """Tell why the store takes no more writes, "" while it does."""
        return self.health.stopped() if self.health is not None else ""

    def alarm(self) -> str:
        """Name the alarm that is raised, "" for none."""
        return self.health.alarm() if self.health is not None else ""


def url(address: str) -> str:
    """Return an address as it is told, with a scheme in any case."""
    return address if "://" in address else f"http://{address}"
