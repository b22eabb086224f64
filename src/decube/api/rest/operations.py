"""What a row of the tables of operations is: `openapi` makes the document of them.

Each resource has a table, with the parameters and the rules of its shapes: `pod_operations`,
`lease_operations`, `snapshot_operations`; what is about the node itself is in `node_operations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from decube.model import labels, names

Schema = dict[str, Any]

STORE_ERRORS: Final = (429, 503)
"""What the store can answer to anything that asks it."""
BODY_ERRORS: Final = (413, 415, 422)
"""What is answered to a body that is not taken."""
PRINTABLE: Final = r"[^\u0000-\u001f\u007f-\u009f]"
"""A letter of a text without rules but that it can be printed, as near as a pattern comes to it."""


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


def json_of(shape: type) -> tuple[tuple[str, Schema], ...]:
    """Describe an answer that is JSON of a type."""
    return (("application/json", ref(shape)),)


def map_of(values: Schema) -> Schema:
    """Describe a map by label keys."""
    # A pattern cannot bound the prefix alone: longer keys, which nobody has, are left out.
    keys = {"pattern": f"^{labels.KEY_PATTERN}$", "maxLength": names.SUBDOMAIN_LENGTH_MAX}
    return {"additionalProperties": values, "propertyNames": keys}
