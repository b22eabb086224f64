"""The gRPC API's metrics, named as the REST API's. Every label has a bounded set of values."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from decube.kit.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpc.aio import ServicerContext

    from decube.kit.clock import Clock

_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SYSTEM_CLOCK = SystemClock()


class GrpcMetrics:
    """Where all calls are counted; `of` a method is where one is."""

    def __init__(self, registry: CollectorRegistry, *, clock: Clock = _SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.calls = Counter(
            "decube_grpc_requests", "Calls answered", ("method", "code"), registry=registry
        )
        self.durations = Histogram(
            "decube_grpc_request_duration_seconds",
            "Time from a call's request to its answer",
            ("method",),
            registry=registry,
            buckets=_BUCKETS_S,
        )

    def of(self, method: str) -> MethodMetrics:
        """Return where the calls of a method are counted."""
        return MethodMetrics(self, method)


class MethodMetrics:
    """Counts the calls of one method. What an answer tells in itself is an `OK` here."""

    def __init__(self, metrics: GrpcMetrics, method: str) -> None:
        self._method = method
        self._calls = metrics.calls
        self._answered = metrics.calls.labels(method, grpc.StatusCode.OK.name)
        self._timer = metrics.durations.labels(method)
        self._monotonic_s = metrics.clock.monotonic_s

    @contextmanager
    def call(self, context: ServicerContext[object, object]) -> Iterator[None]:
        """Count one call, with the status it ends with."""
        began_s = self._monotonic_s()
        try:
            yield
        except BaseException:
            self._calls.labels(self._method, _failure(context.code())).inc()
            raise
        else:
            self._answered.inc()
        finally:
            self._timer.observe(self._monotonic_s() - began_s)


def _failure(code: grpc.StatusCode | int | None) -> str:
    # Before a call is aborted it has no status: its client went away.
    if isinstance(code, grpc.StatusCode) and code is not grpc.StatusCode.OK:
        return code.name
    return grpc.StatusCode.CANCELLED.name
