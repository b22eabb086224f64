"""How keys and values are shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decube.cli.kv_output import print_event_head, print_events, print_pairs
from decube.store.types import Event, KeyValue, Revision

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


def test_a_table_of_changes_has_its_head_above_its_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_event_head("table")
    kv = KeyValue(b"key", b"value", Revision(1), Revision(12), 1)
    print_events([Event(kv), Event(kv, deleted=True)], "table")
    head, put, delete = capsys.readouterr().out.splitlines()
    assert head.split() == ["EVENT", "REVISION", "KEY"]
    assert (put.split(), delete.split()) == (["PUT", "12", "key"], ["DELETE", "12", "key"])
    assert len({line.index(word) for line, word in ((head, "KEY"), (put, "key"))}) == 1
