"""Reads query strings: every parameter known, given once, and of its type."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from decube.kit.errors import Invalid
from decube.model.names import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar.types import Scope

_PARAMETERS_MAX = 32
_NONE: Mapping[str, str] = {}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def read_query(scope: Scope, known: Sequence[str]) -> Mapping[str, str]:
    """Return the parameters by name. Raises `Invalid` for one unknown or given twice."""
    query_string = scope["query_string"]
    if not query_string:
        return _NONE
    try:
        pairs = parse_qsl(
            query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_PARAMETERS_MAX
        )
    except ValueError as error:
        raise Invalid(f"more than {_PARAMETERS_MAX} query parameters") from error
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
            raise Invalid(f"unknown query parameter {shown(name)}: {hint}", field=name)
        if name in parameters:
            raise Invalid(f"query parameter {name} is given twice", field=name)
        parameters[name] = value
    return parameters


def read_boolean(parameters: Mapping[str, str], name: str) -> bool:
    """Read `true` or `false` (also 1 and 0); absent is false."""
    text = parameters.get(name, "false")
    if text not in _BOOLEANS:
        raise Invalid(f"{name} {shown(text)} is neither true nor false", field=name)
    return _BOOLEANS[text]


def read_is_local(parameters: Mapping[str, str]) -> bool:
    """Read `consistency`: whether this node's own answer is enough."""
    text = parameters.get("consistency", "strong")
    if text not in ("strong", "local"):
        raise Invalid(f"consistency {shown(text)} is neither strong nor local", field="consistency")
    return text == "local"


def read_count(parameters: Mapping[str, str], name: str) -> int:
    """Read a number without a sign; absent is 0."""
    text = parameters.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004
        raise Invalid(f"{name} {shown(text)} is not a count", field=name)
    return int(text)
