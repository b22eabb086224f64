"""Keeps the listeners' certificates current, and tells in time when one runs out.

Looks at the files every `security.reload_interval`. A new pair serves the next connections, those
that are open go on; a bad one is told once and leaves the old one in place. A certificate that
expires within 14 days is warned about when that begins, at every start, and daily; one that has
expired is an error.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Counter
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from decube.kit.clock import SystemClock
from decube.kit.errors import Invalid
from decube.model.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from decube.api.identity import Identity
    from decube.config.listener_tls import ListenerName
    from decube.kit.clock import Clock

WARN_BEFORE: Final = timedelta(days=14)
REPEAT_S: Final = 24 * 60 * 60.0

_log = structlog.get_logger("decube.tls")
_SYSTEM_CLOCK: Final = SystemClock()


class CertificateWatch:
    """Watches the identities of a node; `run` until cancelled."""

    def __init__(
        self,
        identities: Mapping[ListenerName, Identity],
        interval_s: float,
        metrics: CollectorRegistry,
        clock: Clock = _SYSTEM_CLOCK,
    ) -> None:
        self._interval_s = interval_s
        self._clock = clock
        # Each identity once, with the listeners that show it.
        self._listeners: dict[Identity, list[ListenerName]] = {}
        for name, identity in identities.items():
            self._listeners.setdefault(identity, []).append(name)
        # What was told last of each, expired or not, and when.
        self._told: dict[Identity, tuple[bool, float]] = {}
        metrics.register(_ExpiryCollector(identities))
        self._refused = Counter(
            "decube_tls_reload_failures",
            "New certificates that were not taken because something is wrong with them",
            registry=metrics,
        )

    async def run(self) -> None:
        """Look at the files, again and again."""
        while True:
            # Listeners that show the same files may trust different ones.
            refused: dict[str, list[ListenerName]] = {}
            for identity, listeners in self._listeners.items():
                if reason := await self._refresh(identity):
                    refused.setdefault(reason, []).extend(listeners)
                self._tell_expiry(identity)
            for reason, concerned in refused.items():
                _log.error(
                    "the new certificate is refused, the old one stays",
                    reason=reason,
                    listeners=concerned,
                )
            await self._clock.sleep(self._interval_s)

    async def _refresh(self, identity: Identity) -> str:
        """Take a new pair; return why one is refused, "" otherwise."""
        try:
            # In a thread: the files may be on a network.
            replaced = await asyncio.to_thread(identity.refresh, self._clock.now())
        except Invalid as error:
            self._refused.inc()
            return error.message
        if replaced:
            self._told.pop(identity, None)
            leaf = identity.material.leaf
            _log.info(
                "certificate reloaded",
                subject=leaf.subject,
                not_after=rfc3339(identity.material.not_after),
                listeners=self._listeners[identity],
            )
        return ""

    def _tell_expiry(self, identity: Identity) -> None:
        left = identity.material.not_after - self._clock.now()
        if left > WARN_BEFORE:
            return
        expired = left <= timedelta(0)
        now_s = self._clock.monotonic_s()
        told = self._told.get(identity)
        if told is not None and told[0] == expired and now_s - told[1] < REPEAT_S:
            return
        self._told[identity] = (expired, now_s)
        about = {
            "subject": identity.material.leaf.subject,
            "not_after": rfc3339(identity.material.not_after),
            "file": str(identity.tls.certificate.path),
            "listeners": self._listeners[identity],
        }
        if expired:
            _log.error("the certificate has expired: clients refuse it", **about)
        else:
            _log.warning("the certificate expires soon", days_left=left.days, **about)


class _ExpiryCollector(Collector):
    """When each listener's certificate expires, read when it is asked for."""

    def __init__(self, identities: Mapping[ListenerName, Identity]) -> None:
        self._identities = identities

    def collect(self) -> Iterator[Metric]:
        """Tell the time of each listener."""
        family = GaugeMetricFamily(
            "decube_tls_certificate_not_after_timestamp_seconds",
            "When the certificate of a listener expires, or another of its chain before",
            labels=["listener"],
        )
        for name, identity in self._identities.items():
            family.add_metric([name], identity.material.not_after.timestamp())
        yield family
