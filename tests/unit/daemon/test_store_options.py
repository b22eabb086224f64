"""What the settings of the embedded store make of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.config.load import load
from decube.daemon.store import embedded_options

if TYPE_CHECKING:
    from pathlib import Path


def test_how_many_checkpoints_and_segments_stay_is_as_set(tmp_path: Path) -> None:
    given = {
        "DECUBE_ETCD_SNAPSHOT_COUNT": "7",
        "DECUBE_ETCD_MAX_SNAPSHOTS": "5",
        "DECUBE_ETCD_MAX_WALS": "3",
        "DECUBE_STORE_LOG_RETENTION": "2h",
        "DECUBE_STORE_LOG_RETENTION_BYTES": "5000",
    }
    options = embedded_options(load(environment=given).settings, tmp_path)
    assert options.checkpoint_entries_min == 7
    assert options.checkpoints_kept == 5
    assert options.covered_segments_max == 3
    assert (options.log_retention_s, options.log_retention_bytes) == (7200, 5000)
    assert embedded_options(load().settings, tmp_path).covered_segments_max is None
