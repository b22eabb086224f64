"""How the routes of the node itself are described, replication among them."""

from __future__ import annotations

from decube.api.rest import shapes
from decube.api.rest.operations import STORE_ERRORS, Operation, Schema, json_of
from decube.services.node import ALARMS, NodeInfo
from decube.services.replication import ReplicationState

NODE_TYPES = (shapes.Health, shapes.Index, NodeInfo, ReplicationState)

NODE_PARAMETERS: dict[str, Schema] = {
    "exclude": {
        "name": "exclude",
        "in": "query",
        "description": "An alarm that shall not count: for whoever restarts what is unhealthy.",
        "schema": {"enum": ["", *ALARMS]},
    },
}

NODE_OPERATIONS = (
    Operation(
        method="get",
        path="/",
        name="getIndex",
        summary="What there is",
        answers=json_of(shapes.Index),
    ),
    Operation(
        method="get",
        path="/health",
        name="getHealth",
        summary="Whether the node takes writes",
        description=(
            "503 and `unhealthy`, with the `reason`, when the store stopped writing, which a "
            "restart ends, and while the alarm NOSPACE is raised, which it does not."
        ),
        parameters=("exclude",),
        also=(503,),
        answers=json_of(shapes.Health),
    ),
    Operation(
        method="get",
        path="/node/info",
        name="getNodeInfo",
        summary="What the node is and where it listens",
        answers=json_of(NodeInfo),
    ),
    Operation(
        method="get",
        path="/api/v1/replication",
        name="getReplication",
        summary="Who is primary and who is standby",
        answers=json_of(ReplicationState),
        errors=STORE_ERRORS,
    ),
    Operation(
        method="post",
        path="/api/v1/replication/promote",
        name="promote",
        summary="Make this standby the primary, in a new term",
        description=(
            "What the old primary has acknowledged and not replicated is lost to the others; it "
            "keeps that in a file when it comes back. 409 where the node is no standby."
        ),
        answers=json_of(ReplicationState),
        errors=(409, *STORE_ERRORS),
    ),
    Operation(
        method="post",
        path="/api/v1/replication/demote",
        name="demote",
        summary="Make this primary a standby, which writes no more",
        answers=json_of(ReplicationState),
        errors=(409, *STORE_ERRORS),
    ),
    Operation(
        method="get",
        path="/metrics",
        name="getMetrics",
        summary="Metrics in Prometheus' text format",
        answers=(("text/plain", {"type": "string"}),),
    ),
)
