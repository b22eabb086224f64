"""The settings as one flat table: a row a key, in the order of declaration.

`api.rest.address` is the key, `DECUBE_API_REST_ADDRESS` its environment variable.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from decube.config.settings import Section, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ENVIRONMENT_PREFIX = "DECUBE_"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `annotation` is its type with its bounds; `no_effect` the reason, if so.

    `bare_number` is the unit of a duration that is given as a number alone, "" if that is refused.
    """

    path: str
    annotation: Any
    default: object
    description: str
    no_effect: str | None
    secret: bool
    bare_number: str = ""

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return ENVIRONMENT_PREFIX + self.path.upper().replace(".", "_")

    @property
    def bare_type(self) -> Any:  # noqa: ANN401 - a type expression has no narrower type
        """The type without its bounds."""
        return get_args(self.annotation)[0]

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return get_origin(self.bare_type) is tuple


@functools.cache
def keys() -> Mapping[str, Key]:
    """Return all keys by path."""
    return {key.path: key for key in _walk(Settings, "")}


@functools.cache
def sections() -> Mapping[str, type[Section]]:
    """Return all sections by path, `api` before `api.rest`."""
    return dict(_walk_sections(Settings, ""))


def nearest(wrong: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that was probably meant, if one is near."""
    candidates = list(valid)
    found = difflib.get_close_matches(wrong, candidates, n=1, cutoff=0.6)
    if found:
        return found[0]
    # A right name in the wrong section: `rest.address` for `api.rest.address`.
    tails = [name for name in candidates if name.endswith("." + wrong.rpartition(".")[2])]
    return tails[0] if len(tails) == 1 else None


def _walk(section: type[Section], prefix: str) -> Iterator[Key]:
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        hint = hints[field.name]
        path = prefix + field.name
        if get_origin(hint) is not Annotated:
            yield from _walk(hint, path + ".")
            continue
        meta = next(part for part in get_args(hint) if isinstance(part, msgspec.Meta))
        extra = meta.extra or {}
        yield Key(
            path=path,
            annotation=hint,
            default=field.default,
            description=meta.description or "",
            no_effect=extra.get("no_effect"),
            secret=bool(extra.get("secret", False)),
            bare_number=extra.get("bare_number", ""),
        )


def _walk_sections(section: type[Section], prefix: str) -> Iterator[tuple[str, type[Section]]]:
    for name, hint in get_type_hints(section, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            yield prefix + name, hint
            yield from _walk_sections(hint, prefix + name + ".")
