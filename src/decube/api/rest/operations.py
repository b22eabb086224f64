"""The operations of the REST API as a table: what `openapi` makes the document of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from decube.api.rest import shapes
from decube.api.rest.watch_stream import ErrorLine
from decube.services.node import NodeInfo
from decube.services.replication import ReplicationState

Schema = dict[str, Any]

_STORE = (429, 503)
_BODY = (413, 415, 422)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the table.

    `answers` are content schemas by media type, for `status`, and for `also` as well. A `raw_body`
    is bytes of that media type.
    """

    method: str
    path: str
    name: str
    summary: str
    description: str = ""
    parameters: tuple[str, ...] = ()
    body: type | None = None
    body_required: bool = True
    raw_body: str = ""
    status: int = 200
    also: tuple[int, ...] = ()
    answers: tuple[tuple[str, Schema], ...]
    errors: tuple[int, ...] = ()
    has_etag: bool = False


def ref(shape: type) -> Schema:
    """Refer to the schema of a type."""
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _json(shape: type) -> tuple[tuple[str, Schema], ...]:
    return (("application/json", ref(shape)),)


_TEXT: Schema = {"type": "string"}
_LINE: Schema = {"oneOf": [ref(shapes.PodChangeLine), ref(shapes.BookmarkLine), ref(ErrorLine)]}

OPERATIONS = (
    Operation(
        method="get",
        path="/",
        name="getIndex",
        summary="What there is",
        answers=_json(shapes.Index),
    ),
    Operation(
        method="get",
        path="/health",
        name="getHealth",
        summary="Whether the process answers",
        answers=_json(shapes.Health),
    ),
    Operation(
        method="get",
        path="/node/info",
        name="getNodeInfo",
        summary="What the node is and where it listens",
        answers=_json(NodeInfo),
    ),
    Operation(
        method="get",
        path="/api/v1/replication",
        name="getReplication",
        summary="Who is primary and who is standby",
        answers=_json(ReplicationState),
        errors=_STORE,
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
        answers=_json(ReplicationState),
        errors=(409, *_STORE),
    ),
    Operation(
        method="post",
        path="/api/v1/replication/demote",
        name="demote",
        summary="Make this primary a standby, which writes no more",
        answers=_json(ReplicationState),
        errors=(409, *_STORE),
    ),
    Operation(
        method="get",
        path="/metrics",
        name="getMetrics",
        summary="Metrics in Prometheus' text format",
        answers=(("text/plain", _TEXT),),
    ),
    Operation(
        method="get",
        path="/api/v1/pods",
        name="listPods",
        summary="List pods, or watch them",
        description=(
            "A list is read page by page, all pages at the revision of the first: pass `continue` "
            "of the answer until it is empty. A page may have fewer pods than `limit`.\n\n"
            "With `watch=true` the answer is a stream of JSON lines that has no end. Without "
            "`resource_version` it begins with the present pods as `ADDED` and one `BOOKMARK`; "
            "then every change is a line. Resume from the last `resource_version` seen, of a "
            "change or a `BOOKMARK`: nothing is missed or repeated. An `ERROR` line is the last "
            "one; after `compacted`, watch anew without `resource_version`."
        ),
        parameters=(
            "namespaces",
            "label_selector",
            "limit",
            "continue",
            "watch",
            "seen_resource_version",
            "consistency",
        ),
        answers=(*_json(shapes.PodList), ("application/x-ndjson", _LINE)),
        errors=(410, *_STORE),
    ),
    Operation(
        method="post",
        path="/api/v1/pods",
        name="createPod",
        summary="Create a pod",
        body=shapes.PodCreation,
        status=201,
        answers=_json(shapes.PodStored),
        errors=(409, *_BODY, *_STORE),
        has_etag=True,
    ),
    Operation(
        method="get",
        path="/api/v1/pods/{name}",
        name="getPod",
        summary="Read a pod",
        parameters=("name", "namespace", "consistency"),
        answers=_json(shapes.PodFound),
        errors=(404, *_STORE),
        has_etag=True,
    ),
    Operation(
        method="put",
        path="/api/v1/pods/{name}",
        name="updatePod",
        summary="Merge fields into a pod",
        description=(
            "Fields that are absent stay; `labels` and `annotations` are replaced whole. With "
            "`resource_version` (in the body or the query) or `If-Match` the update happens only "
            "if the pod is at that version."
        ),
        parameters=("name", "namespace", "resource_version", "if_match"),
        body=shapes.PodUpdate,
        answers=_json(shapes.PodStored),
        errors=(404, 409, *_BODY, *_STORE),
        has_etag=True,
    ),
    Operation(
        method="delete",
        path="/api/v1/pods/{name}",
        name="deletePod",
        summary="Delete a pod",
        description="Deleting what is not there is no error: `deleted` tells.",
        parameters=("name", "namespace", "resource_version", "if_match"),
        answers=_json(shapes.Deleted),
        errors=(409, *_STORE),
    ),
)
