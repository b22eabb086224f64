"""`deploy/monitoring`: every metric and label of alerts and dashboard is one that a node tells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.node import NodeProcess

MONITORING = Path(__file__).resolve().parents[3] / "deploy" / "monitoring"
# Told by a node with a certificate.
CONDITIONAL = {"decube_tls_certificate_not_after_timestamp_seconds"}
ALL_OF_IT = {
    "DECUBE_REPLICATION_ROLE": "primary",
    "DECUBE_REPLICATION_TOKEN": "a secret of a test",
    "DECUBE_REPLICATION_LISTEN_ADDRESS": "127.0.0.1:0",
}
# Prometheus' own: whether a scrape worked, and from where a series is.
PROMETHEUS_LABELS = {"instance", "job"}
_METRIC = re.compile(r"\b(decube_\w+|process_\w+|up)\b(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPED_BY = re.compile(r"\bby \(([^)]*)\)")


def alert_expressions() -> Iterator[str]:
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
            assert rule["labels"]["severity"] in ("warning", "critical")
            yield rule["expr"]


def dashboard() -> dict[str, Any]:
    return dict(json.loads((MONITORING / "dashboard.json").read_text()))


def dashboard_expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
            # What a legend shows, the series must have.
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                grouped = _GROUPED_BY.search(target["expr"])
                assert grouped is None or label in grouped[1], target


def told_by(node: NodeProcess) -> dict[str, set[str]]:
    """Return the metrics of a node, each with its labels as far as it has series."""
    found: dict[str, set[str]] = {}
    for line in httpx2.get(f"http://{node.rest_address}/metrics").text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            found[f"{name}_bucket" if kind == "histogram" else name] = set()
        elif not line.startswith("#"):
            name, _, labels = line.rpartition(" ")[0].partition("{")
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def test_alerts_and_dashboard_use_what_a_node_tells(node: NodeProcess, tmp_path: Path) -> None:
    log = {"DECUBE_LOGGING_OUTPUT": str(tmp_path / "node.log")}
    node.environment = {**node.environment, **ALL_OF_IT, **log}
    node.ensure_started()
    # What was not called, or never happened, has no series to take labels from.
    assert httpx2.get(f"http://{node.rest_address}/health").status_code == 200
    told = told_by(node)
    told["decube_grpc_requests_total"] |= {"method", "code"}
    expressions = [*alert_expressions(), *dashboard_expressions()]
    assert len(expressions) > 40
    for expression in expressions:
        labels: set[str] = set()
        metrics = _METRIC.findall(expression)
        assert metrics, f"{expression} uses no metric"
        for name, matchers in metrics:
            if name in CONDITIONAL or name == "up":
                continue
            assert name in told, f"{expression}: no node tells {name}"
            labels |= told[name]
            assert set(_LABEL.findall(matchers)) <= told[name] | PROMETHEUS_LABELS, expression
        for names in _GROUPED_BY.findall(expression):
            grouped = {name.strip() for name in names.split(",")}
            assert grouped <= labels | PROMETHEUS_LABELS | {"le"}, expression


def test_prometheus_reads_the_alerts_and_scrapes_nodes() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    assert all((MONITORING / name).is_file() for name in config["rule_files"])
    assert [job["job_name"] for job in config["scrape_configs"]] == ["decube", "decube-etcd"]


def test_the_dashboard_is_one_that_grafana_places() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not covered & cells, f"{panel['title']} overlaps another"
        cells |= covered


def test_what_to_do_about_each_alert_is_written_down() -> None:
    page = (MONITORING.parents[1] / "docs" / "howto" / "deploy.md").read_text()
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert alerts == set(re.findall(r"`(Decube\w+)`", page))
