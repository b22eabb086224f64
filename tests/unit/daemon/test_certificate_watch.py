"""What is told of certificates that change, go bad or run out, and when."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from tests.support.certificates import Pair, TestAuthority, listener_tls, replace_pair
from tests.support.waiting import WAIT_S_MAX

from decube.api.identity import Identity
from decube.daemon.certificate_watch import CertificateWatch
from decube.kit.clock import ManualClock, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY_S = 86_400.0
INTERVAL_S = DAY_S / 4
NOT_AFTER = "decube_tls_certificate_not_after_timestamp_seconds"


class Watched:
    """A watch of one pair that two listeners show, on a clock that a test moves."""

    def __init__(self, pair: Pair, clock: ManualClock, **more: Identity) -> None:
        self.clock = clock
        self.metrics = CollectorRegistry()
        self.identity = Identity(listener_tls(pair), clock.now())
        identities: dict[Any, Identity] = {"rest": self.identity, "grpc": self.identity, **more}
        self.watch = CertificateWatch(identities, INTERVAL_S, self.metrics, clock)
        self.events: list[Any] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with capture_logs() as self.events:
            task = asyncio.create_task(self.watch.run())
            await self.settled()
            yield
            task.cancel()

    async def settled(self) -> None:
        """Wait until it sleeps: it reads in a thread."""
        async with asyncio.timeout(WAIT_S_MAX):
            while not self.clock.sleepers:  # noqa: ASYNC110 - the clock tells nobody
                await asyncio.sleep(0.001)

    async def advance(self, days: float) -> None:
        for _ in range(round(days * DAY_S / INTERVAL_S)):
            await self.clock.advance(INTERVAL_S)
            await self.settled()

    def told(self) -> list[tuple[str, str]]:
        """Return level and event of what was logged since the last look."""
        events, self.events[:] = list(self.events), []
        return [(event["log_level"], event["event"].partition(":")[0]) for event in events]


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


def watched(authority: TestAuthority, duration: timedelta) -> tuple[Watched, Pair]:
    clock = ManualClock(SystemClock().now())
    pair = authority.issue("server", duration=duration)
    return Watched(pair, clock), pair


async def test_what_runs_out_is_told_14_days_before_then_daily_then_as_an_error(
    authority: TestAuthority,
) -> None:
    node, _ = watched(authority, timedelta(days=15, hours=12))
    soon = ("warning", "the certificate expires soon")
    async with node.running():
        await node.advance(1)
        assert node.told() == []
        await node.advance(1)
        assert node.told() == [soon]
        await node.advance(3)
        assert node.told() == [soon] * 3
        await node.advance(10)
        assert set(node.told()) == {soon}
        await node.advance(1)
        assert node.told() == [("error", "the certificate has expired")]


async def test_a_renewed_certificate_is_taken_and_told_once(authority: TestAuthority) -> None:
    node, pair = watched(authority, timedelta(days=10))
    async with node.running():
        assert node.told() == [("warning", "the certificate expires soon")]
        before = node.metrics.get_sample_value(NOT_AFTER, {"listener": "rest"})
        replace_pair(pair, authority.issue("renewed", duration=timedelta(days=25)))
        await node.advance(1)
        assert node.told() == [("info", "certificate reloaded")]
    for listener in ("rest", "grpc"):
        after = node.metrics.get_sample_value(NOT_AFTER, {"listener": listener})
        assert after is not None
        assert before is not None
        assert round((after - before) / DAY_S) == 15


async def test_a_bad_certificate_is_told_once_and_counted(authority: TestAuthority) -> None:
    node, pair = watched(authority, timedelta(days=25))
    async with node.running():
        pair.cert_file.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
        await node.advance(2)
        (event,) = node.events
        assert event["log_level"] == "error"
        assert event["listeners"] == ["rest", "grpc"]
        assert event["reason"].startswith(f"security.cert_file: {pair.cert_file}: ")
    assert node.metrics.get_sample_value("decube_tls_reload_failures_total") == 1
    assert node.identity.material.leaf.subject == "CN=server"


async def test_a_bad_certificate_is_told_once_for_listeners_that_ask_different_clients(
    authority: TestAuthority,
) -> None:
    clock = ManualClock(SystemClock().now())
    pair = authority.issue("server", duration=timedelta(days=25))
    tls = listener_tls(pair, authority.ca_file, "require")
    node = Watched(pair, clock, etcd=Identity(tls, clock.now()))
    async with node.running():
        pair.cert_file.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
        await node.advance(2)
        (event,) = node.events
        assert event["listeners"] == ["rest", "grpc", "etcd"]
