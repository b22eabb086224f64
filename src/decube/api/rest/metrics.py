"""The REST API's metrics, under the original's names. Every label has a bounded set of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

if TYPE_CHECKING:
    from litestar.types import HTTPScope

_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"})
_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_NO_ROUTE = "none"

# The time a series began, as a series of its own: it doubles the page and nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class RestMetrics:
    """Counts requests. Label children are kept, because looking one up costs more than counting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("status", "method", "route")
        self._requests = Counter(
            "decube_http_requests", "Requests answered", labels, registry=registry
        )
        self._durations = Histogram(
            "decube_http_request_duration_seconds",
            "Time from a request's headers to the end of its answer, watches left out",
            ("method", "route"),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._counters: dict[tuple[int, str, str], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def count(self, scope: HTTPScope, status: int, duration_s: float | None) -> None:
        """Count one request; without a duration only that."""
        method = scope["method"]
        # The framework sets the template once it found the route: "/api/v1/pods/{name}".
        route = scope.get("path_template") or _NO_ROUTE
        counter = self._counters.get((status, method, route))
        if counter is None:
            label = method if method in _METHODS else "other"
            counter = self._requests.labels(str(status), label, route)
            if label == method:
                self._counters[status, method, route] = counter
        counter.inc()
        if duration_s is None or method not in _METHODS:
            return
        timer = self._timers.get((method, route))
        if timer is None:
            timer = self._timers[method, route] = self._durations.labels(method, route)
        timer.observe(duration_s)
