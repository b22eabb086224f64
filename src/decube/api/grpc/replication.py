"""The replication calls: messages in, the replication service, messages out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.pb.decube import decube_pb2 as pb

if TYPE_CHECKING:
    from decube.services.node import NodeInfoSource
    from decube.services.replication import Peer, ReplicationService


class ReplicationCalls:
    """The replication part of the service."""

    def __init__(self, replication: ReplicationService, node: NodeInfoSource) -> None:
        self._replication = replication
        self._node = node

    async def get_replication_status(
        self, _request: pb.GetReplicationStatusRequest
    ) -> pb.GetReplicationStatusResponse:
        """Tell who is who. Its answer has no error: every error fails the call."""
        state = await self._replication.state()
        node = self._node.node_info()
        return pb.GetReplicationStatusResponse(
            peers=[_message_of(peer) for peer in state.peers],
            is_leader=node.is_leader,
            leader_address=node.leader_addr,
            current_revision=state.revision,
            role=state.role,
            term=state.term,
            lag_seconds=state.lag_seconds,
            tails=state.tails,
        )


def _message_of(peer: Peer) -> pb.PeerStatus:
    return pb.PeerStatus(
        address=peer.address,
        connected=peer.connected,
        last_heartbeat=peer.last_heartbeat,
        revision=peer.revision,
        node_id=peer.node_id,
        role=peer.role,
        term=peer.term,
        lag_seconds=peer.lag_seconds,
        error=peer.error,
    )
