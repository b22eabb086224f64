"""The OpenAPI document: shapes from the types in `shapes`, operations from the table below.

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
from decube.api.rest.operations import OPERATIONS, Operation, Schema, ref
from decube.api.rest.snapshot_operations import (
    SNAPSHOT_OPERATIONS,
    SNAPSHOT_PARAMETERS,
    SNAPSHOT_TYPES,
    add_snapshot_rules,
)
from decube.api.rest.watch_stream import ErrorLine
from decube.model import labels, names
from decube.model.pod import PHASE_LENGTH_MAX, PodView
from decube.registry.listing import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from decube.services.node import NodeInfo
from decube.services.replication import ReplicationState

_TYPES = (
    shapes.PodCreation,
    shapes.PodUpdate,
    shapes.PodStored,
    shapes.PodFound,
    shapes.PodList,
    shapes.Deleted,
    shapes.PodChangeLine,
    shapes.BookmarkLine,
    ErrorLine,
    shapes.Health,
    shapes.Index,
    NodeInfo,
    ReplicationState,
    ErrorBody,
    PodView,
    *LEASE_TYPES,
    *SNAPSHOT_TYPES,
)

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
    422: "The JSON has another shape; `details.field` is the path",
    429: "The store refuses more for now",
    500: "A defect of ours, or damaged data",
    503: "The store is unavailable",
}
_ALWAYS = (400, 421, 500)
_STORE_BUSY = (429, 503)
_STORE = (429, 503)
_BODY = (413, 415, 422)

_PARAMETERS: dict[str, Schema] = {
    "name": {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "The pod's name, a DNS-1123 subdomain.",
        "schema": {"$ref": "#/components/schemas/Name"},
    },
    "namespace": {
        "name": "namespace",
        "in": "query",
        "description": f"The pod's namespace; empty is `{names.NAMESPACE_DEFAULT}`.",
        "schema": {"$ref": "#/components/schemas/Namespace"},
    },
    "namespaces": {
        "name": "namespace",
        "in": "query",
        "description": f"A namespace, `{names.NAMESPACE_DEFAULT}` if empty; `*` for all.",
        "schema": {"anyOf": [{"$ref": "#/components/schemas/Namespace"}, {"const": "*"}]},
    },
    "consistency": {
        "name": "consistency",
        "in": "query",
        "description": (
            "`strong` (the default) shows all that was acknowledged; on a standby the primary is "
            "asked. `local` is answered by the node itself, which may be a little behind."
        ),
        "schema": {"enum": ["strong", "local"]},
    },
    "label_selector": {
        "name": "label_selector",
        "in": "query",
        "description": "Kubernetes' grammar: `tier=web,env in (a,b),!gpu`.",
        "schema": {"type": "string"},
    },
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
    "watch": {
        "name": "watch",
        "in": "query",
        "description": "Stream changes; excludes `limit` and `continue`.",
        "schema": {"type": "boolean"},
    },
    "seen_resource_version": {
        "name": "resource_version",
        "in": "query",
        "description": "With `watch`: what was seen last. 0 or empty: begin with the present pods.",
        "schema": {"$ref": "#/components/schemas/ResourceVersion"},
    },
    "resource_version": {
        "name": "resource_version",
        "in": "query",
        "description": "Act only if the pod is at this version.",
        "schema": {"$ref": "#/components/schemas/ResourceVersion"},
    },
    "if_match": {
        "name": "If-Match",
        "in": "header",
        "description": 'Act only if the pod has this ETag, such as `"12"`; `*` is any.',
        "schema": {"type": "string", "pattern": r'^(\*|[0-9]{1,18}|"[0-9]{1,18}")$'},
    },
    **LEASE_PARAMETERS,
    **SNAPSHOT_PARAMETERS,
}


@functools.cache
def openapi_json(version: str) -> bytes:
    """Make the document, once."""
    paths: dict[str, dict[str, Schema]] = {}
    for operation in (*OPERATIONS, *LEASE_OPERATIONS, *SNAPSHOT_OPERATIONS):
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
    if status in _STORE_BUSY:
        wait = {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}
        answer["headers"] = {"Retry-After": wait}
    return answer


def _schemas() -> dict[str, Schema]:
    """Describe the types, with the rules that the types do not know."""
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    schemas["Name"] = _text(names.SUBDOMAIN_PATTERN.pattern, names.SUBDOMAIN_LENGTH_MAX)
    schemas["Namespace"] = _text(names.LABEL_PATTERN.pattern, names.LABEL_LENGTH_MAX, or_empty=True)
    schemas["ResourceVersion"] = {"type": "string", "pattern": "^[0-9]{0,18}$"}
    for shape in (shapes.PodCreation, shapes.PodUpdate):
        properties = schemas[shape.__name__]["properties"]
        name = names.SUBDOMAIN_PATTERN.pattern
        properties["name"] |= _text(name, names.SUBDOMAIN_LENGTH_MAX)
        properties["namespace"] |= {"$ref": "#/components/schemas/Namespace"}
        properties["node_name"] |= _text(name, names.SUBDOMAIN_LENGTH_MAX, or_empty=True)
        properties["status"] |= {"pattern": "^[ -~]*$", "maxLength": PHASE_LENGTH_MAX}
        properties["labels"] |= _map(_text(labels.VALUE_PATTERN, labels.NAME_LENGTH_MAX))
        properties["annotations"] |= _map({"type": "string"})
        properties["resource_version"] |= {"$ref": "#/components/schemas/ResourceVersion"}
    add_lease_rules(schemas, _map({"type": "string"}))
    add_snapshot_rules(schemas, _map({"type": "string"}))
    schemas["PodCreation"]["required"] = ["name"]
    schemas["PodCreation"]["properties"]["resource_version"] |= {"enum": ["", "0"]}
    return schemas


def _text(pattern: str, length_max: int, *, or_empty: bool = False) -> Schema:
    whole = f"^({pattern})?$" if or_empty else f"^{pattern}$"
    return {"type": "string", "pattern": whole, "maxLength": length_max}


def _map(values: Schema) -> Schema:
    # A pattern cannot bound the prefix alone: longer keys, which nobody has, are left out.
    keys = {"pattern": f"^{labels.KEY_PATTERN}$", "maxLength": names.SUBDOMAIN_LENGTH_MAX}
    return {"additionalProperties": values, "propertyNames": keys}
