"""How the routes of pods are described: operations, parameters, and the rules of their shapes."""

from __future__ import annotations

from decube.api.rest import shapes
from decube.api.rest.operations import (
    BODY_ERRORS,
    PRINTABLE,
    STORE_ERRORS,
    Operation,
    Schema,
    json_of,
    map_of,
    ref,
)
from decube.api.rest.watch_stream import ErrorLine
from decube.model import labels, names
from decube.model.pod import PHASE_LENGTH_MAX, PodView

POD_TYPES = (
    shapes.PodCreation,
    shapes.PodUpdate,
    shapes.PodStored,
    shapes.PodFound,
    shapes.PodList,
    shapes.PodChangeLine,
    shapes.BookmarkLine,
    ErrorLine,
    PodView,
)

POD_PARAMETERS: dict[str, Schema] = {
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
}

_LINE: Schema = {"oneOf": [ref(shapes.PodChangeLine), ref(shapes.BookmarkLine), ref(ErrorLine)]}

POD_OPERATIONS = (
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
        answers=(*json_of(shapes.PodList), ("application/x-ndjson", _LINE)),
        errors=(410, *STORE_ERRORS),
    ),
    Operation(
        method="post",
        path="/api/v1/pods",
        name="createPod",
        summary="Create a pod",
        body=shapes.PodCreation,
        status=201,
        answers=json_of(shapes.PodStored),
        errors=(409, *BODY_ERRORS, *STORE_ERRORS),
        has_etag=True,
    ),
    Operation(
        method="get",
        path="/api/v1/pods/{name}",
        name="getPod",
        summary="Read a pod",
        parameters=("name", "namespace", "consistency"),
        answers=json_of(shapes.PodFound),
        errors=(404, *STORE_ERRORS),
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
        answers=json_of(shapes.PodStored),
        errors=(404, 409, *BODY_ERRORS, *STORE_ERRORS),
        has_etag=True,
    ),
    Operation(
        method="delete",
        path="/api/v1/pods/{name}",
        name="deletePod",
        summary="Delete a pod",
        description="Deleting what is not there is no error: `deleted` tells.",
        parameters=("name", "namespace", "resource_version", "if_match"),
        answers=json_of(shapes.Deleted),
        errors=(409, *STORE_ERRORS),
    ),
)


def add_pod_rules(schemas: dict[str, Schema], annotations: Schema) -> None:
    """Write into the schemas what the types do not know; `annotations` are the rules of such."""
    schemas["Name"] = _text(names.SUBDOMAIN_PATTERN.pattern, names.SUBDOMAIN_LENGTH_MAX)
    schemas["Namespace"] = _text(names.LABEL_PATTERN.pattern, names.LABEL_LENGTH_MAX, or_empty=True)
    schemas["ResourceVersion"] = {"type": "string", "pattern": "^[0-9]{0,18}$"}
    for shape in (shapes.PodCreation, shapes.PodUpdate):
        properties = schemas[shape.__name__]["properties"]
        name = names.SUBDOMAIN_PATTERN.pattern
        properties["name"] |= _text(name, names.SUBDOMAIN_LENGTH_MAX)
        properties["namespace"] |= {"$ref": "#/components/schemas/Namespace"}
        properties["node_name"] |= _text(name, names.SUBDOMAIN_LENGTH_MAX, or_empty=True)
        properties["status"] |= {"pattern": f"^{PRINTABLE}*$", "maxLength": PHASE_LENGTH_MAX}
        properties["labels"] |= map_of(_text(labels.VALUE_PATTERN, labels.NAME_LENGTH_MAX))
        properties["annotations"] |= annotations
        properties["resource_version"] |= {"$ref": "#/components/schemas/ResourceVersion"}
    schemas["PodCreation"]["required"] = ["name"]
    schemas["PodCreation"]["properties"]["resource_version"] |= {"enum": ["", "0"]}


def _text(pattern: str, length_max: int, *, or_empty: bool = False) -> Schema:
    whole = f"^({pattern})?$" if or_empty else f"^{pattern}$"
    return {"type": "string", "pattern": whole, "maxLength": length_max}
