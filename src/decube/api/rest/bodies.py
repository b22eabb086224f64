"""Reads JSON bodies into typed structs, refusing precisely what does not fit.

415: not `application/json` (which also keeps a foreign web page's form or plain-text request out,
as browsers send those without asking). 400: not JSON, with line and column, or a key that is given
twice, of which readers disagree which one counts. 422: JSON of another shape, with the path of the
field; an unknown field with the name that was probably meant.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from decube.api.rest.errors import Problem
from decube.model.names import shown

if TYPE_CHECKING:
    from litestar.types import Scope

S = TypeVar("S", bound=msgspec.Struct)

_BAD_REQUEST, _UNSUPPORTED_MEDIA_TYPE, _UNPROCESSABLE = 400, 415, 422

# msgspec tells where only in its text.
_AT_PATH = re.compile(r"(?P<reason>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_AT_BYTE = re.compile(r"(?:JSON is malformed: )?(?P<reason>.*) \(byte (?P<byte>\d+)\)", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)


class BodyReader(Generic[S]):
    """Reads bodies of one shape."""

    def __init__(self, shape: type[S]) -> None:
        self._decoder = msgspec.json.Decoder(shape)
        self._fields = [field.encode_name for field in msgspec.structs.fields(shape)]

    def read(self, scope: Scope, body: bytes) -> S:
        """Decode a body. Raises `Problem`."""
        _check_media_type(scope)
        try:
            decoded = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise self._wrong_shape(str(error), body) from error
        except UnicodeDecodeError as error:
            raise Problem(_BAD_REQUEST, "invalid", "the body is not UTF-8") from error
        except RecursionError as error:
            raise Problem(_BAD_REQUEST, "invalid", "the body is nested too deeply") from error
        except msgspec.DecodeError as error:
            raise _bad_json(str(error), body) from error
        # msgspec takes the last of two keys in silence. Reading once more costs a few microseconds
        # of a usual body.
        _every_key_once(body.decode())
        return decoded

    def _wrong_shape(self, text: str, body: bytes) -> Problem:
        found = cast("re.Match[str]", _AT_PATH.fullmatch(text))
        reason, path = found["reason"], (found["path"] or "$").removeprefix("$").removeprefix(".")
        if unknown := _UNKNOWN_FIELD.fullmatch(reason):
            return self._unknown_field(unknown["name"])
        if missing := _MISSING_FIELD.fullmatch(reason):
            name = missing["name"]
            return Problem(_UNPROCESSABLE, "invalid", f"{name} is required", field=name)
        if path.endswith("[...]"):
            path = _key_with_wrong_value(path.removesuffix("[...]"), body)
        reason = reason[:1].lower() + reason[1:]
        return Problem(
            _UNPROCESSABLE, "invalid", f"{path or 'the body'}: {reason}", field=path or "$"
        )

    def _unknown_field(self, name: str) -> Problem:
        near = difflib.get_close_matches(name, self._fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self._fields)}"
        return Problem(
            _UNPROCESSABLE, "invalid", f"unknown field {shown(name)}: {hint}", field=name
        )


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        name = next(name for place, name in enumerate(names) if name in names[:place])
        raise Problem(_BAD_REQUEST, "invalid", f"{shown(name)} is given twice", field=name)


_every_key_once = json.JSONDecoder(object_pairs_hook=_refuse_repeated).decode


def _check_media_type(scope: Scope) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            given = value.decode("latin-1")
            if given.partition(";")[0].strip().lower() == "application/json":
                return
            break
    else:
        given = ""
    raise Problem(
        _UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        f"content-type is {shown(given) if given else 'missing'}: send application/json",
    )


def _bad_json(text: str, body: bytes) -> Problem:
    found = _AT_BYTE.fullmatch(text)
    reason, at = "it ends too early", len(body)
    if found:
        reason, at = found["reason"], int(found["byte"])
        at -= reason == "trailing characters"  # of which msgspec points behind the first
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    return Problem(
        _BAD_REQUEST,
        "invalid",
        f"the body is not JSON: {reason} at line {line}, column {column}",
        position=at,
    )


def _key_with_wrong_value(path: str, body: bytes) -> str:
    """Name the entry of a map of texts that is none; msgspec says only in which map."""
    try:
        entries = msgspec.json.decode(body)[path]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return path  # what follows that value is worse still
    wrong = next((key for key, value in entries.items() if not isinstance(value, str)), "")
    return f"{path}.{wrong}"
