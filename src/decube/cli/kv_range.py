"""Which keys a command of `decube kv` is about."""

from typing import Annotated

from cyclopts import Parameter

from decube.kit.errors import Invalid
from decube.kit.escaping import unescaped
from decube.store.types import KeyRange

Prefix = Annotated[bool, Parameter(negative=(), help="All keys that start with KEY.")]
FromKey = Annotated[bool, Parameter(negative=(), help="All keys from KEY on.")]
Escaped = Annotated[
    bool,
    Parameter(
        negative=(),
        help=r"In KEY and END \xNN is a byte (\x5c a backslash), as keys are told that cannot be "
        "typed otherwise.",
    ),
]


def key_range(
    key: bytes, end: bytes, *, prefix: bool, from_key: bool, escaped: bool = False
) -> KeyRange:
    """Return them. Raises `Invalid` for what does not go together."""
    if sum((bool(end), prefix, from_key)) > 1:
        raise Invalid("END, --prefix and --from-key exclude each other", field="key")
    if escaped:
        key, end = unescaped(key), unescaped(end)
    if prefix:
        return KeyRange.prefix(key)
    if from_key:
        return KeyRange(key or b"\0", b"\0")
    if not key:
        raise Invalid("the key is empty; `--prefix ''` stands for all keys", field="key")
    return KeyRange(key, end)
