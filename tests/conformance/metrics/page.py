"""A page of metrics in Prometheus' text format, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import httpx2

_SAMPLE = re.compile(r"^(\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


@dataclass
class Family:
    """A metric with all of its series; of a histogram's they are the counts."""

    kind: str
    help: str
    bounds: set[str] = field(default_factory=set)
    series: dict[Labels, float] = field(default_factory=dict)

    @property
    def labels(self) -> set[str]:
        return {name for labels in self.series for name, _ in labels}

    def add(self, suffix: str, labels: dict[str, str], value: float) -> None:
        bound = labels.pop("le", None)
        if bound is not None:
            self.bounds.add(bound)
        elif suffix != "_sum":
            self.series[frozenset(labels.items())] = value


def page_of(address: str) -> dict[str, Family]:
    """Return the metrics of a server's etcd port by name."""
    families: dict[str, Family] = {}
    helps: dict[str, str] = {}
    for line in httpx2.get(f"http://{address}/metrics").raise_for_status().text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, helps[name] = line.split(" ", 3)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in families, f"{name} is told twice"
            families[name] = Family(kind, helps[name])
        else:
            _add_sample(families, line)
    return families


def _add_sample(families: dict[str, Family], line: str) -> None:
    sample = _SAMPLE.match(line)
    assert sample is not None, line
    name, suffix, labels, value = sample.groups(default="")
    histogram = families.get(name)
    if histogram is None or histogram.kind not in ("histogram", "summary"):
        name, suffix = name + suffix, ""
    families[name].add(suffix, dict(_LABEL.findall(labels)), float(value))


def open_streams(families: dict[str, Family], service: str) -> float:
    """Return how many streams of a service are open, as etcd's dashboards reckon it."""
    of_service = {("grpc_service", service), ("grpc_type", "bidi_stream")}
    started, handled = (
        [value for labels, value in families[name].series.items() if labels >= of_service]
        for name in ("grpc_server_started_total", "grpc_server_handled_total")
    )
    # Prometheus shows nothing where one side has no series.
    assert started
    assert handled
    return sum(started) - sum(handled)
