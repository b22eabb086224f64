r"""Bytes as one line of text that can be printed, and back.

What is UTF-8 and can be printed stands as it is; every other byte is `\xNN`, and so is a backslash.
Nothing is lost, so that a key of the store that is told can be typed again.

    b"default/a b"      default/a b
    b"default/\xff\\"   default/\xff\x5c
"""

from __future__ import annotations

import re
from typing import Final

from decube.kit.errors import Invalid

_ESCAPE: Final = re.compile(rb"\\(?:x(?P<byte>[0-9a-fA-F]{2}))?")


def escaped(content: bytes) -> str:
    """Write bytes as text."""
    return "".join(map(_escaped_char, content.decode(errors="surrogateescape")))


def unescaped(text: bytes) -> bytes:
    """Read what `escaped` wrote. Raises `Invalid` for a backslash that stands alone."""
    return _ESCAPE.sub(_unescaped_byte, text)


def _escaped_char(char: str) -> str:
    if char.isprintable() and char != "\\":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))


def _unescaped_byte(found: re.Match[bytes]) -> bytes:
    if found["byte"]:
        return bytes.fromhex(found["byte"].decode())
    raise Invalid(
        f"behind the backslash at byte {found.start()} there must be x and two hexadecimal digits; "
        r"a backslash itself is \x5c",
        field="key",
    )
