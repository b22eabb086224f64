"""What the APIs offer of replication: who is who, and the operator's two commands."""

from decube.services.replication.service import ReplicationService, Replicator
from decube.services.replication.state import (
    NO_PART,
    Peer,
    ReplicationState,
    Role,
    SentRevision,
    SentWrite,
)

__all__ = [
    "NO_PART",
    "Peer",
    "ReplicationService",
    "ReplicationState",
    "Replicator",
    "Role",
    "SentRevision",
    "SentWrite",
]
