"""Keys of the store as text: nothing is lost, whatever the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decube.kit.errors import Invalid
from decube.kit.escaping import escaped, unescaped


@given(st.binary())
def test_what_was_escaped_can_be_printed_and_comes_back(content: bytes) -> None:
    text = escaped(content)
    assert text.isprintable()
    assert unescaped(text.encode()) == content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"default/a b/\xc3\xa9", "default/a b/\xe9"),
        (b"\xff\n\0", r"\xff\x0a\x00"),
        (b"\\x41", r"\x5cx41"),
        ("\u2028".encode(), r"\xe2\x80\xa8"),
    ],
)
def test_only_what_cannot_be_printed_is_escaped(content: bytes, text: str) -> None:
    assert escaped(content) == text


@pytest.mark.parametrize("text", [b"\\", b"a\\", b"a\\n", b"\\x4", b"\\xfg", b"\\\\"])
def test_a_backslash_that_says_nothing_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid, match="behind the backslash"):
        unescaped(text)
