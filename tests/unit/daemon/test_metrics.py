"""The metrics of the process and of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import generate_latest

from decube.daemon.metrics import process_metrics
from decube.kit.errors import Closed

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_the_stores_figures_are_told_by_their_names() -> None:
    figures = {"revision": 7, "db_size_bytes": 4096, "cluster_id": 2**63}
    text = generate_latest(process_metrics(lambda: figures)).decode()
    assert "decube_store_revision 7.0" in text
    assert "decube_store_db_size_bytes 4096.0" in text
    assert "cluster_id" not in text
    assert "process_resident_memory_bytes" in text


def test_what_only_grows_is_a_counter_and_the_rest_a_gauge() -> None:
    figures = {"commits": 3, "log_bytes": 4096, "keys": 2}
    text = generate_latest(process_metrics(lambda: figures)).decode()
    for line in (
        "# TYPE decube_store_commits_total counter",
        "decube_store_commits_total 3.0",
        "decube_store_log_bytes_total 4096.0",
        "# TYPE decube_store_keys gauge",
    ):
        assert line in text.splitlines()


def test_a_closed_store_takes_nothing_else_away() -> None:
    def closed() -> Mapping[str, int]:
        raise Closed("the store is closed")

    assert "process_cpu_seconds_total" in generate_latest(process_metrics(closed)).decode()
