"""How the routes of leases are described: operations, parameters, and the rules of their shapes."""

from __future__ import annotations

from decube.api.rest import lease_shapes as shapes
from decube.api.rest.operations import (
    BODY_ERRORS,
    PRINTABLE,
    STORE_ERRORS,
    Operation,
    Schema,
    json_of,
)
from decube.api.rest.shapes import Deleted
from decube.model.lease import HOLDER_LENGTH_MAX, TTL_S_DEFAULT, TTL_S_MAX, TTL_S_MIN, LeaseView
from decube.model.names import SUBDOMAIN_LENGTH_MAX, SUBDOMAIN_PATTERN
from decube.services.leases import ID_PATTERN

LEASE_TYPES = (
    shapes.LeaseCreation,
    shapes.LeaseRenewal,
    shapes.LeaseGranted,
    shapes.LeaseFound,
    shapes.LeaseList,
    LeaseView,
)

LEASE_PARAMETERS: dict[str, Schema] = {
    "lease_id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": f"The lease's id: `{ID_PATTERN}`. There is no lease of another one.",
        "schema": {"type": "string", "minLength": 1},
    },
    "holder": {
        "name": "holder",
        "in": "query",
        "description": "Only the leases of this holder.",
        "schema": {"type": "string"},
    },
    "lease_name": {
        "name": "name",
        "in": "query",
        "description": "Only the lease that has this name.",
        "schema": {"type": "string"},
    },
}


LEASE_OPERATIONS = (
    Operation(
        method="get",
        path="/api/v1/leases",
        name="listLeases",
        summary="List leases",
        description=(
            "All pages show the leases of one moment, but for those that ended since: pass "
            "`continue` of the answer until it is empty. A page may have fewer than `limit`."
        ),
        parameters=("holder", "lease_name", "limit", "continue"),
        answers=json_of(shapes.LeaseList),
        errors=(410, *STORE_ERRORS),
    ),
    Operation(
        method="post",
        path="/api/v1/leases",
        name="createLease",
        summary="Grant a lease",
        description=(
            "It ends `ttl_seconds` after it was granted or last renewed; then it is deleted. With "
            "a `name` it is granted only while nobody else holds one of that name: else 409, whose "
            "`details` tell `id`, `holder` and `expires_at`. The holder that has the name already "
            "gets its lease again, renewed, with 200 instead of 201. `fencing_token` is higher "
            "than that of every lease that was granted before: who checks it refuses a former "
            "holder that does not know yet."
        ),
        body=shapes.LeaseCreation,
        status=201,
        also=(200,),
        answers=json_of(shapes.LeaseGranted),
        errors=(409, *BODY_ERRORS, *STORE_ERRORS),
    ),
    Operation(
        method="get",
        path="/api/v1/leases/{id}",
        name="getLease",
        summary="Read a lease",
        parameters=("lease_id",),
        answers=json_of(shapes.LeaseFound),
        errors=(404, *STORE_ERRORS),
    ),
    Operation(
        method="delete",
        path="/api/v1/leases/{id}",
        name="deleteLease",
        summary="End a lease",
        description="Deleting what is not there is no error: `deleted` tells.",
        parameters=("lease_id",),
        answers=json_of(Deleted),
        errors=(409, *STORE_ERRORS),
    ),
    Operation(
        method="post",
        path="/api/v1/leases/{id}/renew",
        name="renewLease",
        summary="Renew a lease",
        description=(
            "It runs its whole TTL from now on, or another one; id and fencing token stay. An "
            "empty body is one without `ttl_seconds`. 404 when the lease has ended; 409 when the "
            "TTL cannot change because other keys are attached to its store lease."
        ),
        parameters=("lease_id",),
        body=shapes.LeaseRenewal,
        body_required=False,
        answers=json_of(shapes.LeaseGranted),
        errors=(404, 409, *BODY_ERRORS, *STORE_ERRORS),
    ),
)


def add_lease_rules(schemas: dict[str, Schema], annotations: Schema) -> None:
    """Write into the schemas what the types do not know; `annotations` are the rules of such."""
    ttl = {"anyOf": [{"const": 0}, {"minimum": TTL_S_MIN, "maximum": TTL_S_MAX}]}
    creation = schemas["LeaseCreation"]
    properties = creation["properties"]
    properties["holder"] |= {
        "pattern": f"^{PRINTABLE}+$",
        "minLength": 1,
        "maxLength": HOLDER_LENGTH_MAX,
    }
    properties["name"] |= {
        "pattern": f"^({SUBDOMAIN_PATTERN.pattern})?$",
        "maxLength": SUBDOMAIN_LENGTH_MAX,
    }
    properties["metadata"] |= annotations
    properties["ttl_seconds"] |= {**ttl, "examples": [TTL_S_DEFAULT]}
    schemas["LeaseRenewal"]["properties"]["ttl_seconds"] |= ttl
    creation["required"] = ["holder"]
    # A default must be one of the schema's own values, and an absent holder is refused.
    del properties["holder"]["default"]
