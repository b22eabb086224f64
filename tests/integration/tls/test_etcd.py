"""The etcd port over TLS, as etcdctl knows it: who is trusted, and who gets in."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.certificates import Pair, TestAuthority, replace_pair, self_signed
from tests.support.peers import etcdctl_of
from tests.support.stores import embedded
from tests.support.waiting import WAIT_S_MAX

from decube.kit.errors import Invalid
from decube.store.embedded import EtcdListenerOptions, ListenerTls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from decube.store.embedded import EtcdListener

# How long etcdctl tries a command that is refused; the reason comes at once, but is told then.
REFUSED_S = "2s"
NO_HOST = "another.example"


@dataclass(frozen=True)
class Served:
    """An etcd port over TLS, and who made its certificate."""

    listener: EtcdListener
    authority: TestAuthority
    pair: Pair

    def command(self, *words: str, trusted: Path, client: Pair | None = None) -> list[str]:
        port = self.listener.address.rpartition(":")[2]
        line = [etcdctl_of("3.7.1"), f"--endpoints=https://localhost:{port}"]
        line.append(f"--cacert={trusted}")
        if client is not None:
            line += [f"--cert={client.cert_file}", f"--key={client.key_file}"]
        return [*line, *words]

    async def run(
        self, *words: str, trusted: Path | None = None, client: Pair | None = None
    ) -> subprocess.CompletedProcess[str]:
        line = self.command(*words, trusted=trusted or self.authority.ca_file, client=client)
        return await asyncio.to_thread(
            subprocess.run, line, capture_output=True, text=True, check=False, timeout=WAIT_S_MAX
        )

    async def answers(self, trusted: Path | None = None, client: Pair | None = None) -> None:
        done = await self.run("put", "key", "value", trusted=trusted, client=client)
        assert done.stdout == "OK\n", done.stderr

    async def refuses(
        self, reason: str, trusted: Path | None = None, client: Pair | None = None
    ) -> None:
        put = ("put", "key", "value", f"--command-timeout={REFUSED_S}")
        done = await self.run(*put, trusted=trusted, client=client)
        assert done.returncode != 0
        assert reason in done.stderr


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path, "other")


@asynccontextmanager
async def serving(
    authority: TestAuthority,
    pair: Pair,
    client_auth: Literal["none", "request", "require"] = "none",
) -> AsyncIterator[Served]:
    tls = ListenerTls(
        cert_file=pair.cert_file,
        key_file=pair.key_file,
        ca_file=authority.ca_file,
        client_auth=client_auth,
        reload_interval_s=0.05,
    )
    async with embedded() as store:
        listener = await store.serve_etcd(EtcdListenerOptions(address="127.0.0.1:0", tls=tls))
        try:
            yield Served(listener, authority, pair)
        finally:
            await listener.stop(0.0)


async def test_a_trusted_port_serves_and_its_member_says_https(authority: TestAuthority) -> None:
    async with serving(authority, authority.issue("server")) as served:
        await served.answers()
        members = await served.run("member", "list")
        assert f"https://{served.listener.address}" in members.stdout
        status = served.listener.tls_status()
        assert status is not None
        assert status.refused is None


async def test_untrusted_expired_and_wrong_names_are_refused_by_the_client(
    authority: TestAuthority, other: TestAuthority
) -> None:
    async def check(pair: Pair, reason: str, trusted: Path | None = None) -> None:
        async with serving(authority, pair) as served:
            await served.refuses(reason, trusted=trusted)
            status = served.listener.tls_status()
            assert status is not None
            assert status.handshake_failures > 0

    await asyncio.gather(
        check(authority.issue("server"), "certificate signed by unknown authority", other.ca_file),
        check(authority.expired(), "certificate has expired"),
        check(
            authority.issue("named", NO_HOST), f"certificate is valid for {NO_HOST}, not localhost"
        ),
    )


async def test_a_required_certificate_is_asked_for_and_checked(
    authority: TestAuthority, other: TestAuthority
) -> None:
    async with serving(authority, authority.issue("server"), "require") as served:
        await served.answers(client=authority.issue("client"))
        await asyncio.gather(
            served.refuses("certificate required"),
            served.refuses("unknown certificate authority", client=other.issue("stranger")),
            served.refuses("expired certificate", client=authority.expired()),
        )


async def test_a_requested_certificate_may_be_missing_but_not_wrong(
    authority: TestAuthority,
) -> None:
    async with serving(authority, authority.issue("server"), "request") as served:
        await served.answers()
        await served.answers(client=authority.issue("client"))
        await served.refuses("expired certificate", client=authority.expired())


async def test_a_reload_leaves_a_watch_alone_and_shows_the_new_certificate(
    authority: TestAuthority, other: TestAuthority
) -> None:
    async with serving(authority, authority.issue("server")) as served:
        line = served.command("watch", "key", trusted=authority.ca_file)
        watch = await asyncio.create_subprocess_exec(*line, stdout=subprocess.PIPE)
        assert watch.stdout is not None
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                seen = asyncio.create_task(watch.stdout.readline())
                while not seen.done():
                    # Until one comes after the watch began.
                    await served.answers()
                    await asyncio.wait({seen}, timeout=0.1)
            replace_pair(served.pair, other.issue("next", duration=timedelta(days=9)))
            async with asyncio.timeout(WAIT_S_MAX):
                renewed = ("put", "key", "renewed")
                while (await served.run(*renewed, trusted=other.ca_file)).returncode != 0:
                    pass
            await served.refuses("certificate signed by unknown authority")
            async with asyncio.timeout(WAIT_S_MAX):
                while (await watch.stdout.readline()) != b"renewed\n":
                    pass
        finally:
            watch.terminate()
            await watch.wait()


async def test_a_certificate_that_cannot_be_used_opens_no_port(
    authority: TestAuthority, other: TestAuthority
) -> None:
    pair = Pair(authority.issue("server").cert_file, other.issue("stranger").key_file)
    with pytest.raises(Invalid, match=r"stranger\.key does not fit"):
        async with serving(authority, pair):
            pass


async def test_a_key_of_a_curve_that_cannot_be_used_is_told_by_it(
    authority: TestAuthority, tmp_path: Path
) -> None:
    pair = self_signed(tmp_path, ec.generate_private_key(ec.SECP521R1()))
    with pytest.raises(Invalid, match=r"the key in .*self\.key is on the curve P-521: usable are"):
        async with serving(authority, pair):
            pass
