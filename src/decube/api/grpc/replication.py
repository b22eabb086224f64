"""The replication calls: messages in, the replication service, messages out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from decube.api.grpc.errors import TOLD
from decube.kit.errors import Invalid
from decube.pb.decube import decube_pb2 as pb
from decube.services.replication import SentRevision, SentWrite

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

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

    async def replicate_state(
        self, request: pb.ReplicateStateRequest, context: ServicerContext[Any, Any]
    ) -> pb.ReplicateStateResponse:
        """Apply revisions of a primary; what does not fit is told in the answer."""
        try:
            state = await self._replication.apply(
                _revisions_of(request),
                token=request.token or _bearer(context),
                term=request.term,
            )
        except TOLD as error:
            state = await self._replication.state()
            return pb.ReplicateStateResponse(
                error=error.message,
                error_code=error.code,
                applied_revision=state.revision,
                wanted_revision=int(str(error.details.get("wanted", 0))),
                term=state.term,
            )
        return pb.ReplicateStateResponse(
            success=True, applied_revision=state.revision, term=state.term
        )


def _revisions_of(request: pb.ReplicateStateRequest) -> list[SentRevision]:
    """Gather entries by revision; raise `Invalid` for one that cannot be."""
    writes: dict[int, list[SentWrite]] = {}
    for place, entry in enumerate(request.entries):
        field = f"entries[{place}]"
        if entry.revision < 1:
            raise Invalid(f"{field}.revision must be above 0", field=f"{field}.revision")
        if not entry.key:
            raise Invalid(f"{field}.key is required", field=f"{field}.key")
        if writes and entry.revision < max(writes):
            raise Invalid(f"{field}.revision goes back", field=f"{field}.revision")
        value = None if entry.deleted else entry.value
        write = SentWrite(entry.key.encode(), value, entry.lease)
        writes.setdefault(entry.revision, []).append(write)
    return [SentRevision(revision, tuple(of_it)) for revision, of_it in writes.items()]


def _bearer(context: ServicerContext[Any, Any]) -> str:
    """Return the token of the call's metadata, "" if there is none."""
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            text = value.decode() if isinstance(value, bytes) else value
            return text.removeprefix("Bearer ").strip()
    return ""


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
