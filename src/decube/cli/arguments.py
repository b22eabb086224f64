"""What the shell hands over: bytes, of which Python makes text.

Bytes that are no UTF-8 become lone surrogates, which nothing but the file system takes. Keys and
values of the store are bytes and taken as they are; so are paths, and the command that is run under
a lease. Everything else is text, and refused where it is none.
"""

import os
import re
from dataclasses import fields, is_dataclass
from typing import Final, get_args, get_type_hints

from cyclopts import Parameter

from decube.kit.errors import Invalid

_INT64_MAX: Final = 2**63 - 1
_UNDECODED: Final = re.compile("[\udc80-\udcff]")


def check_text(_hint: object, value: object) -> None:
    """Refuse text that is no UTF-8: a validator of cyclopts for each argument.

    What stands in a group of options is validated as a group. Raises `ValueError`, to which
    cyclopts adds the argument's name, and `Invalid` with the name for one of a group.
    """
    if is_dataclass(value):
        for option in fields(value):
            if not _is_text(getattr(value, option.name)):
                name = _option_name(type(value), option.name)
                raise Invalid(f"the value of {name} is not UTF-8", field=option.name)
    elif not _is_text(value):
        raise ValueError("it is not UTF-8")


def shown(content: bytes) -> str:
    """Return bytes as text in one line, whatever they are."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return repr(content)[2:-1]
    return text if text.isprintable() else repr(text)[1:-1]


def _read_bytes(_hint: object, tokens: object) -> bytes:
    return os.fsencode(tokens[0].value)  # type: ignore[index]


BYTES = Parameter(converter=_read_bytes, n_tokens=1, accepts_keys=False)
"""What takes an argument as the bytes that were typed."""


def _check_count(_hint: object, value: object) -> None:
    if isinstance(value, int) and value < 0:
        raise ValueError("it must not be negative")
    if isinstance(value, int) and value > _INT64_MAX:
        raise ValueError("no store counts to that")


COUNT = Parameter(validator=_check_count)
"""What is a number of things, or a revision: an int64 of etcd's that is not negative."""


def _is_text(value: object) -> bool:
    several = value if isinstance(value, tuple) else (value,)
    return not any(isinstance(one, str) and _UNDECODED.search(one) for one in several)


def _option_name(group: type, field: str) -> str:
    """Return what an option is called on the command line."""
    _type, *marks = get_args(get_type_hints(group, include_extras=True)[field]) or (str,)
    named = [name for mark in marks if isinstance(mark, Parameter) for name in mark.name or ()]
    return named[0] if named else f"--{field.replace('_', '-')}"
