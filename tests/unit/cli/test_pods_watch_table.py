"""The table of `decube pods watch` fits into a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from decube.cli.pods_watch_table import ChangeTable

if TYPE_CHECKING:
    import pytest

POD = {
    "namespace": "default",
    "name": "web-7d4b9c",
    "status": "running",
    "node_name": "node-1",
    "labels": {"app": "web", "app.kubernetes.io/managed-by": "somebody-with-a-long-name"},
    "resource_version": "1234",
}


def test_every_line_has_its_cells_below_the_head(capsys: pytest.CaptureFixture[str]) -> None:
    table = ChangeTable(all_namespaces=True)
    table.print_head()
    table.print_change("MODIFIED", POD)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["EVENT", "NAMESPACE", "NAME", "STATUS", "NODE", "VERSION", "LABELS"]
    for column, cell in (("NAMESPACE", "default"), ("NODE", "node-1"), ("LABELS", "app=web,")):
        assert row.index(cell) == head.index(column)
    assert row.endswith("somebody-with-a-long-name")


def test_on_a_terminal_no_line_is_wider(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))
    table = ChangeTable(all_namespaces=False)
    table.print_change("MODIFIED", POD)
    (row,) = capsys.readouterr().out.splitlines()
    assert len(row) == 80
    assert "default" not in row
    assert "app=web" in row
