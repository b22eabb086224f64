"""Where the log of a store is, told by a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decube.daemon.store import log_below
from decube.kit.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_is_found_by_its_directory_or_the_one_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    log = tmp_path / "node" / "etcd" / "wal"
    log.mkdir(parents=True)
    with pytest.raises(NotFound, match="there is no log of a store in"):
        log_below(log)
    (log / "00000000000000000001.log").touch()
    home = type(tmp_path)("~")
    for place in (log, tmp_path / "node", home / "node", home / "node" / "etcd" / "wal"):
        assert log_below(place) == log
