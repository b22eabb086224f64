"""The OpenAPI document, made of the types of bodies and the tables of operations of the resources.

Rules that are checked by code of ours (names, labels) are written into the schemas here, so that
tools which generate requests from the document generate ones that are accepted.
"""

from __future__ import annotations

import functools

import msgspec

from decube.api.rest import shapes
from decube.api.rest.errors import ErrorBody
from decube.api.rest.lease_operations import (
    LEASE_OPERATIONS,
    LEASE_PARAMETERS,
    LEASE_TYPES,
    add_lease_rules,
)
from decube.api.rest.node_operations import NODE_OPERATIONS, NODE_PARAMETERS, NODE_TYPES
from decube.api.rest.operations import STORE_ERRORS, Operation, Schema, map_of, ref
from decube.api.rest.pod_operations import (
    POD_OPERATIONS,
    POD_PARAMETERS,
    POD_TYPES,
    add_pod_rules,
)
from decube.api.rest.snapshot_operations import (
    SNAPSHOT_OPERATIONS,
    SNAPSHOT_PARAMETERS,
    SNAPSHOT_TYPES,
    add_snapshot_rules,
)
from decube.registry.listing import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX

_OPERATIONS = (*NODE_OPERATIONS, *POD_OPERATIONS, *LEASE_OPERATIONS, *SNAPSHOT_OPERATIONS)
_TYPES = (*NODE_TYPES, *POD_TYPES, *LEASE_TYPES, *SNAPSHOT_TYPES, shapes.Deleted, ErrorBody)

_REASONS = {
    400: "A parameter, a name, a label or the JSON is wrong; `details.field` names which",
    401: "The location of the snapshots does not know this node",
    403: "The location does not let this node, or there is no key to what is encrypted",
    404: "There is no such object",
    409: "It exists already, or is at another version: `details.resource_version` is the present",
    410: "The revision asked for is compacted: list anew",
    413: "The body is too large",
    415: "The body is not `application/json`",
    421: "A listener on loopback does not answer to this Host",
    422: "The JSON has another shape (`details.field` is the path), or a snapshot is damaged",
    429: "The store refuses more for now",
    500: "A defect of ours, or damaged data",
    503: "The store is unavailable",
}
_ALWAYS = (400, 421, 500)

_PARAMETERS: dict[str, Schema] = {
    "limit": {
        "name": "limit",
        "in": "query",
        "description": f"Most objects on a page; 0 is the default of {PAGE_LIMIT_DEFAULT}.",
        "schema": {"type": "integer", "minimum": 0, "maximum": PAGE_LIMIT_MAX},
    },
    "continue": {
        "name": "continue",
        "in": "query",
        "description": "The token of the page before, whose other parameters must be given again.",
        "schema": {"type": "string"},
    },
    **NODE_PARAMETERS,
    **POD_PARAMETERS,
    **LEASE_PARAMETERS,
    **SNAPSHOT_PARAMETERS,
}


@functools.cache
def openapi_json(version: str) -> bytes:
    """Make the document, once."""
    paths: dict[str, dict[str, Schema]] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "DeCube",
                "version": version,
                "description": "Every answer has `X-Request-ID`; send your own to choose it.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {"schemas": _schemas()},
        }
    )


def _operation(operation: Operation) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {
            **{str(s): _answer(operation) for s in (operation.status, *operation.also)},
            **{str(status): _error(status) for status in sorted((*_ALWAYS, *operation.errors))},
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.parameters:
        described["parameters"] = [_PARAMETERS[name] for name in operation.parameters]
    if operation.body is not None:
        content = {"application/json": {"schema": ref(operation.body)}}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    if operation.raw_body:
        content = {operation.raw_body: {"schema": {"type": "string", "format": "binary"}}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(operation: Operation) -> Schema:
    answer: Schema = {
        "description": operation.summary,
        "content": {media_type: {"schema": schema} for media_type, schema in operation.answers},
    }
    if operation.has_etag:
        tag = {"description": "The resource version", "schema": {"type": "string"}}
        answer["headers"] = {"ETag": tag}
    return answer


def _error(status: int) -> Schema:
    content = {"application/json": {"schema": ref(ErrorBody)}}
    answer: Schema = {"description": _REASONS[status], "content": content}
    if status in STORE_ERRORS:
        wait = {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}
        answer["headers"] = {"Retry-After": wait}
    return answer


def _schemas() -> dict[str, Schema]:
    """Describe the types, with the rules that the types do not know."""
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    annotations = map_of({"type": "string"})
    add_pod_rules(schemas, annotations)
    add_lease_rules(schemas, annotations)
    add_snapshot_rules(schemas, annotations)
    return schemas
