"""How keys and values are shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decube.cli.kv_output import print_pairs
from decube.store.types import KeyValue, Revision

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN: Mapping[bytes, str] = {
    b"plain": "plain",
    "größe".encode(): "größe",
    b"a\nb": r"a\nb",
    b"\x00\xff": r"\x00\xff",
}


@pytest.mark.parametrize(("value", "shown"), SHOWN.items())
def test_a_table_has_one_line_a_key_whatever_its_bytes(
    value: bytes, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Revision(1)
    print_pairs([KeyValue(b"key", value, one, one, 1)], "table")
    _head, row = capsys.readouterr().out.splitlines()
    assert row.split()[:2] == ["key", shown]
