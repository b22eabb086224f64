"""The node as one of several: keeps what it tells, and where it forwards, true to its role.

The Rust core replicates by itself. Here its state is looked at several times a second, and after
each command of the operator: the store forwards to the primary that there is now.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from decube.config.listener_tls import tls_of
from decube.kit.clock import SystemClock
from decube.kit.errors import NotLeader
from decube.services.replication import Peer, ReplicationState
from decube.store.embedded.replication import PeerTls, ReplicationOptions
from decube.store.forwarding import ForwardingStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence

    from decube.config.settings import Settings
    from decube.daemon.facts import NodeFacts
    from decube.kit.addresses import Address
    from decube.kit.clock import Clock
    from decube.services.replication import SentRevision
    from decube.store.embedded import EmbeddedStore
    from decube.store.embedded.replication import PeerState, Replication
    from decube.store.image_files import ImagePiece
    from decube.store.remote import RemoteStore
    from decube.store.types import Revision

_log = structlog.get_logger("decube.replication")

HTTPS = "https://"
LOOK_INTERVAL_S = 0.2
# As long as the etcd port waits for a primary that is about to be found.
PRIMARY_PATIENCE_S = 3.0


class NodeReplication:
    """The `Replicator` of the services, and the `LeadershipSource` of the node's facts."""

    def __init__(
        self, core: Replication, own: EmbeddedStore, settings: Settings, facts: NodeFacts
    ) -> None:
        self._core = core
        self._own = own
        self._facts = facts
        self._clock: Clock = SystemClock()
        self._token = settings.replication.token
        self._last_leader = ""
        self._etcd_scheme = "" if tls_of(settings, "etcd") is None else HTTPS
        self.store = ForwardingStore(
            own, lambda address: _store_of_primary(address, settings), self.find_primary
        )

    @property
    def is_leader(self) -> bool:
        """Whether this node is the primary."""
        return self.look().role == "primary"

    @property
    def leader_address(self) -> str:
        """The REST address of the primary, or of the last one; "" while none was known."""
        return self._facts.rest_address if self.is_leader else self._last_leader

    def state(self) -> ReplicationState:
        """Tell who is who; see `Replicator.state`."""
        return msgspec.structs.replace(self.look(), tails=self._core.tails())

    def look(self) -> ReplicationState:
        """Tell who is who without the tails, for which a directory has to be read."""
        member = self._core.state()
        peers = tuple(_told(peer, self._etcd_scheme) for peer in member.peers)
        primary = next((p for p in peers if p.address == member.primary_address), None)
        if primary is not None and primary.rest_address:
            self._last_leader = primary.rest_address
        return ReplicationState(
            role=member.role,
            term=member.term,
            revision=member.revision,
            lag_seconds=member.lag_s,
            primary=primary,
            peers=peers,
        )

    async def find_role(self) -> None:
        """Be what the peers know this node to be, before it takes a write."""
        await self._core.ask_peers()
        await self.follow_role()

    async def promote(self) -> None:
        """Become the primary; see `Replicator.promote`."""
        await self._core.promote()
        _log.warning("this node was made the primary", **self._standing())
        await self.follow_role()

    async def demote(self) -> None:
        """Become a standby; see `Replicator.demote`."""
        await self._core.demote()
        _log.warning("this node was made a standby", **self._standing())
        await self.follow_role()

    def _standing(self) -> dict[str, int]:
        state = self._core.state()
        return {"term": state.term, "revision": state.revision}

    async def apply(self, revisions: Sequence[SentRevision]) -> int:
        """Apply revisions of the primary; see `Replicator.apply`."""
        return await self._core.copy_revisions(
            [
                (sent.revision, [(w.key, w.value, w.lease) for w in sent.writes])
                for sent in revisions
            ]
        )

    def knows(self, token: str) -> bool:
        """Tell whether a caller is a peer; see `Replicator.knows`."""
        return bool(self._token) and hmac.compare_digest(token.encode(), self._token.encode())

    async def restore(self, pieces: AsyncIterable[ImagePiece]) -> Revision:
        """Restore an image in place, see `EmbeddedStore.restore`; a standby says who can."""
        # The role may have changed since it was checked first.
        self.check_restores()
        return await self._own.restore(pieces)

    def check_restores(self) -> None:
        """Raise `NotLeader` where a snapshot is to be restored on another node."""
        if not self.is_leader:
            raise NotLeader(
                "this node is a standby: restore the snapshot on the primary",
                leader=self._last_leader or None,
            )

    async def follow_role(self) -> bool:
        """Have the store forward as the role of this moment wants it; tell whether it knows where.

        Where that is this node, there is nothing to forward.
        """
        state = self.look()
        if state.role == "primary":
            await self.store.lead()
            return True
        in_reach = state.primary.etcd_address if state.primary else ""
        await self.store.follow(in_reach, self._last_leader)
        return state.primary is not None

    async def find_primary(self) -> None:
        """Have the store forward to the primary; wait a moment for one that is not in reach."""
        waited_s = 0.0
        while not await self.follow_role() and waited_s < PRIMARY_PATIENCE_S:
            await self._clock.sleep(LOOK_INTERVAL_S)
            waited_s += LOOK_INTERVAL_S

    async def run(self) -> None:
        """Follow the role until cancelled."""
        self._core.announce(
            rest=self._facts.rest_address,
            grpc=self._facts.grpc_address,
            # The etcd port of a standby connects to it: host and port.
            etcd=self._facts.etcd_address.removeprefix(HTTPS),
        )
        while True:
            await self.follow_role()
            await self._clock.sleep(LOOK_INTERVAL_S)


def replication_options(settings: Settings, listen: Address) -> ReplicationOptions:
    """Translate the settings for the core."""
    wanted, tls = settings.replication, tls_of(settings, "peer")
    return ReplicationOptions(
        role="primary" if wanted.role == "primary" else "standby",
        node_id=settings.node.id,
        listen_address=str(listen),
        peer_addresses=tuple(str(address) for address in settings.node.peer_addresses),
        token=wanted.token,
        tls=None
        if tls is None
        else PeerTls(
            cert_file=tls.certificate.path,
            key_file=tls.private_key.path,
            ca_file=tls.authorities.path if tls.authorities else None,
            client_auth=tls.client_auth,
            reload_interval_s=settings.security.reload_interval.seconds,
        ),
        peer_timeout_s=wanted.peer_timeout.seconds,
        retry_interval_s=wanted.retry_interval.seconds,
        retries_max=wanted.max_retries,
    )


def _store_of_primary(address: str, settings: Settings) -> RemoteStore:
    from decube.store.remote import RemoteOptions, RemoteStore, TlsOptions  # noqa: PLC0415 - grpc

    own = tls_of(settings, "etcd")
    tls = None
    if own is not None:
        # The nodes have certificates of one authority, and show theirs to each other.
        trusted = settings.security.listeners.etcd.ca_file or settings.security.ca_file
        tls = TlsOptions(
            ca_file=Path(trusted) if trusted else None,
            cert_file=own.certificate.path,
            key_file=own.private_key.path,
        )
    return RemoteStore(
        RemoteOptions(
            endpoints=(address,),
            tls=tls,
            request_timeout_s=settings.store.request_timeout.seconds,
        )
    )


def _told(peer: PeerState, etcd_scheme: str) -> Peer:
    return Peer(
        address=peer.address,
        node_id=peer.node_id,
        role=peer.role,
        connected=peer.connected,
        last_heartbeat=int(peer.last_heartbeat_s),
        term=peer.term,
        revision=peer.revision,
        lag_seconds=peer.lag_s,
        rest_address=peer.rest_address,
        grpc_address=peer.grpc_address,
        etcd_address=peer.etcd_address and f"{etcd_scheme}{peer.etcd_address}",
        error=peer.error,
    )
