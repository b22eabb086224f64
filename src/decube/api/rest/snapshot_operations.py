"""How the routes of snapshots are described: operations, parameters, the rules of their shapes."""

from __future__ import annotations

from decube.api.rest import snapshot_shapes as shapes
from decube.api.rest.operations import BODY_ERRORS, PRINTABLE, Operation, Schema, json_of
from decube.api.rest.shapes import Deleted
from decube.model.snapshot import (
    NAME_LENGTH_MAX,
    SnapshotProgress,
    SnapshotVerification,
    SnapshotView,
)
from decube.services.snapshots import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX

SNAPSHOT_TYPES = (
    shapes.SnapshotCreation,
    shapes.SnapshotCreated,
    shapes.SnapshotFound,
    shapes.SnapshotList,
    shapes.SnapshotRestore,
    shapes.SnapshotRestored,
    SnapshotProgress,
    SnapshotVerification,
    SnapshotView,
)

SNAPSHOT_PARAMETERS: dict[str, Schema] = {
    "snapshot_id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The snapshot's id, such as `snap-20260131T120000000Z-1f2e3d4c`.",
        "schema": {"type": "string", "minLength": 1},
    },
    "snapshots_limit": {
        "name": "limit",
        "in": "query",
        "description": f"Most snapshots on a page; 0 is the default of {PAGE_LIMIT_DEFAULT}.",
        "schema": {"type": "integer", "minimum": 0, "maximum": PAGE_LIMIT_MAX},
    },
    "wait": {
        "name": "wait",
        "in": "query",
        "description": "Whether to answer when it is completed (the default), or has begun.",
        "schema": {"type": "boolean"},
    },
}

_LOCATION = (401, 403, 404, 429, 503)
_SNAPSHOT = (*_LOCATION, 422)
_BYTES: Schema = {"type": "string", "format": "binary"}


SNAPSHOT_OPERATIONS = (
    Operation(
        method="get",
        path="/api/v1/snapshots",
        name="listSnapshots",
        summary="List snapshots",
        description=(
            "Those in the location, the newest first, whichever node took them; and those that "
            "this node is creating, or lately failed to."
        ),
        parameters=("snapshots_limit", "continue"),
        answers=json_of(shapes.SnapshotList),
        errors=_LOCATION,
    ),
    Operation(
        method="post",
        path="/api/v1/snapshots",
        name="createSnapshot",
        summary="Create a snapshot",
        description=(
            "It shows the store at one revision, while writes go on. One at a time: 409 while "
            "another is created. With `wait=false` the answer is a 202 and `status` `creating`: "
            "ask for it by its id. It goes on when the client leaves. On the backend `etcd` it is "
            "a 410 when somebody compacted the revision meanwhile: try again."
        ),
        parameters=("wait",),
        body=shapes.SnapshotCreation,
        body_required=False,
        status=201,
        also=(202,),
        answers=json_of(shapes.SnapshotCreated),
        errors=(409, 410, *BODY_ERRORS, *_LOCATION),
    ),
    Operation(
        method="get",
        path="/api/v1/snapshots/{id}",
        name="getSnapshot",
        summary="Read a snapshot",
        parameters=("snapshot_id",),
        answers=json_of(shapes.SnapshotFound),
        errors=_SNAPSHOT,
    ),
    Operation(
        method="delete",
        path="/api/v1/snapshots/{id}",
        name="deleteSnapshot",
        summary="Delete a snapshot with all its chunks",
        description="Deleting what is not there is no error. 409 while it is in use.",
        parameters=("snapshot_id",),
        answers=json_of(Deleted),
        errors=(409, *_LOCATION),
    ),
    Operation(
        method="get",
        path="/api/v1/snapshots/{id}/status",
        name="getSnapshotStatus",
        summary="How far what is done with a snapshot is",
        parameters=("snapshot_id",),
        answers=json_of(SnapshotProgress),
        errors=_SNAPSHOT,
    ),
    Operation(
        method="post",
        path="/api/v1/snapshots/{id}/verify",
        name="verifySnapshot",
        summary="Read a snapshot again and check every hash",
        description="That it is damaged is no error of the request: `valid` is false then.",
        parameters=("snapshot_id",),
        answers=json_of(SnapshotVerification),
        errors=_LOCATION,
    ),
    Operation(
        method="post",
        path="/api/v1/snapshots/{id}/restore",
        name="restoreSnapshot",
        summary="Put a snapshot back in place",
        description=(
            "The store then holds what the snapshot shows, at a revision above all that it ever "
            "had; all before is compacted, and watches are told so. A snapshot that is damaged "
            "(422 `damaged`), cannot be decrypted (403) or is on the backend `etcd` (400) changes "
            "nothing. An empty body is one with all checks."
        ),
        parameters=("snapshot_id",),
        body=shapes.SnapshotRestore,
        body_required=False,
        answers=json_of(shapes.SnapshotRestored),
        errors=(409, *BODY_ERRORS, *_LOCATION),
    ),
    Operation(
        method="get",
        path="/api/v1/snapshots/{id}/archive",
        name="downloadSnapshot",
        summary="Download a snapshot as a tar archive",
        parameters=("snapshot_id",),
        answers=(("application/x-tar", _BYTES),),
        errors=_SNAPSHOT,
    ),
    Operation(
        method="put",
        path="/api/v1/snapshots/{id}/archive",
        name="uploadSnapshot",
        summary="Store a snapshot that was downloaded",
        description="All of it is checked on the way. 409 when there is one of that id.",
        parameters=("snapshot_id",),
        raw_body="application/octet-stream",
        status=201,
        answers=json_of(shapes.SnapshotCreated),
        errors=(409, 415, *_SNAPSHOT),
    ),
)


def add_snapshot_rules(schemas: dict[str, Schema], annotations: Schema) -> None:
    """Write into the schemas what the types do not know; `annotations` are the rules of such."""
    properties = schemas["SnapshotCreation"]["properties"]
    properties["name"] |= {"pattern": f"^{PRINTABLE}*$", "maxLength": NAME_LENGTH_MAX}
    properties["metadata"] |= annotations
