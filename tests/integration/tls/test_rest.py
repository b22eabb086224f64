"""REST over TLS: who is trusted, what is refused, and what a change of certificates does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import warnings
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest
from tests.integration.rest.test_connections import Connection
from tests.integration.rest.test_pods import PODS
from tests.support.api import ANY_PORT, WAIT_S_MAX, rest_server
from tests.support.certificates import Pair, TestAuthority, listener_tls, replace_pair
from tests.support.stores import embedded

from decube.api.identity import Identity
from decube.api.rest import RestOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from decube.api.rest import RestServer
    from decube.api.rest.tls import Handshakes
    from decube.config.listener_tls import ClientAuth

# Certificates are made while the tests run, which may be a while after this was read.
NOW = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - OpenSSL looks at the real clock
OPTIONS = RestOptions(listen=ANY_PORT)
CURL_CANNOT_VERIFY = 60


@dataclass(frozen=True)
class Served:
    """A REST API over TLS, and who made its certificate."""

    server: RestServer
    identity: Identity
    authority: TestAuthority

    @property
    def port(self) -> int:
        return self.server.address.port

    @property
    def handshakes(self) -> Handshakes:
        """Who is shaking hands."""
        assert self.server._handshakes is not None
        return self.server._handshakes

    def context(self, client: Pair | None = None) -> ssl.SSLContext:
        """Return what a client trusts, and shows."""
        context = ssl.create_default_context(cafile=self.authority.ca_file)
        if client is not None:
            context.load_cert_chain(client.cert_file, client.key_file)
        return context

    @asynccontextmanager
    async def connected(self, client: Pair | None = None) -> AsyncIterator[Connection]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context(client)
        )
        try:
            yield Connection(reader, writer)
        finally:
            writer.transport.abort()

    async def curl(self, *arguments: str | Path, path: str = "/health") -> int:
        """Call a route by curl; its exit code."""
        url = f"https://127.0.0.1:{self.port}{path}"
        command = ["curl", "--silent", "--max-time", "20", *map(str, arguments), url]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait()


@asynccontextmanager
async def served(
    directory: Path,
    pair: Pair | None = None,
    client_auth: ClientAuth = "none",
    options: RestOptions = OPTIONS,
) -> AsyncIterator[Served]:
    """Serve REST with a certificate, a good one unless it is given."""
    authority = TestAuthority(directory)
    ca_file = None if client_auth == "none" else authority.ca_file
    tls = listener_tls(pair or authority.issue("server"), ca_file, client_auth)
    # A certificate that has expired since the start is served still: hence the earlier now.
    identity = Identity(tls, NOW if pair is None else NOW - timedelta(days=2))
    options = replace(options, identity=identity)
    async with embedded() as store, rest_server(store, options) as (server, _):
        yield Served(server, identity, authority)


async def test_who_trusts_the_authority_may_call(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        assert await api.curl("--cacert", api.authority.ca_file, "--fail") == 0
        assert await api.curl() == CURL_CANNOT_VERIFY
        assert await api.curl("--cacert", TestAuthority(tmp_path, "stranger").ca_file) == (
            CURL_CANNOT_VERIFY
        )


async def test_a_client_notices_the_wrong_name_and_an_expired_certificate(tmp_path: Path) -> None:
    made = TestAuthority(tmp_path, "made")
    expired = made.issue("old", begin=timedelta(days=-3), duration=timedelta(days=2))
    for pair in (made.issue("elsewhere", "other.test", begin=timedelta(days=-3)), expired):
        async with served(tmp_path, pair) as api:
            assert await api.curl("--cacert", made.ca_file) == CURL_CANNOT_VERIFY
            assert await api.curl("--insecure", "--fail") == 0


@pytest.mark.parametrize("client_auth", ["request", "require"])
async def test_client_certificates_are_asked_for_as_configured(
    tmp_path: Path, client_auth: ClientAuth
) -> None:
    async with served(tmp_path, client_auth=client_auth) as api:
        good = api.authority.issue("client")
        other = TestAuthority(tmp_path, "stranger").issue("impostor")
        expired = api.authority.expired()
        trusting = ("--cacert", api.authority.ca_file, "--fail")

        async def calls_with(pair: Pair) -> bool:
            shown = ("--cert", pair.cert_file, "--key", pair.key_file)
            return await api.curl(*trusting, *shown) == 0

        assert await calls_with(good)
        assert not await calls_with(other)
        assert not await calls_with(expired)
        assert (await api.curl(*trusting) == 0) == (client_auth == "request")


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_only_tls_1_2_and_above_is_spoken(
    tmp_path: Path, version: ssl.TLSVersion, *, accepted: bool
) -> None:
    async with served(tmp_path) as api:
        context = api.context()
        # Or the client itself would refuse the old version.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions, on purpose
            context.minimum_version = context.maximum_version = version
        connecting = asyncio.open_connection("127.0.0.1", api.port, ssl=context)
        if accepted:
            _, writer = await connecting
            assert writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
            writer.transport.abort()
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
                await connecting


async def test_a_new_certificate_serves_new_connections_and_old_ones_go_on(tmp_path: Path) -> None:
    async with served(tmp_path) as api, api.connected() as old:
        await old.send(f"GET {PODS}?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with asyncio.timeout(WAIT_S_MAX):
            await old.reader.readuntil(b"BOOKMARK")
        before = _subject(old)
        pair = Pair(api.identity.tls.certificate.path, api.identity.tls.private_key.path)
        replace_pair(pair, api.authority.issue("renewed"))
        assert [api.identity.refresh(NOW) for _ in range(2)] == [False, True]
        async with api.connected() as new:
            assert (before, _subject(new)) == ("server", "renewed")
            body = b'{"name":"a"}'
            await new.send(
                f"POST {PODS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            assert (await new.answer())[0] == 201
        async with asyncio.timeout(WAIT_S_MAX):
            await old.reader.readuntil(b"ADDED")


async def test_an_authority_that_is_trusted_no_more_lets_nobody_in(tmp_path: Path) -> None:
    async with served(tmp_path, client_auth="require") as api:
        client = api.authority.issue("client")
        shown = ("--cert", client.cert_file, "--key", client.key_file)
        trusting = ("--cacert", tmp_path / "kept.pem", *shown)
        (tmp_path / "kept.pem").write_bytes(api.authority.ca_file.read_bytes())
        assert await api.curl(*trusting) == 0
        api.authority.ca_file.write_bytes(TestAuthority(tmp_path, "next").ca_file.read_bytes())
        assert [api.identity.refresh(NOW) for _ in range(2)] == [False, True]
        assert await api.curl(*trusting) != 0


async def test_a_handshake_may_come_in_pieces(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = api.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        async with asyncio.timeout(WAIT_S_MAX):
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        writer.write(bytes([byte]))
                        await asyncio.sleep(0)
                    incoming.write(await reader.read(65_536))
        writer.transport.abort()


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
async def test_a_handshake_that_never_ends_is_cut_off(tmp_path: Path, sent: bytes) -> None:
    options = replace(OPTIONS, handshake_timeout_s=0.3)
    async with served(tmp_path, options=options) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(sent)
        async with asyncio.timeout(WAIT_S_MAX):
            assert await reader.read() == b""
            while api.handshakes.under_way:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        writer.transport.abort()


async def test_handshakes_above_the_limit_are_dropped_and_others_go_on(tmp_path: Path) -> None:
    options = replace(OPTIONS, connections_max=2)
    async with served(tmp_path, options=options) as api, api.connected() as open_before:
        idle = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        async with asyncio.timeout(WAIT_S_MAX):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        await open_before.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await open_before.answer())[0] == 200
        for _, open_writer in [*idle, (reader, writer)]:
            open_writer.transport.abort()


async def test_plain_http_is_told_to_use_tls(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        async with httpx2.AsyncClient(timeout=WAIT_S_MAX) as client:
            answer = await client.get(f"http://127.0.0.1:{api.port}/health")
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "tls_required"


async def test_idle_connections_do_not_hold_up_the_end(tmp_path: Path) -> None:
    async with served(tmp_path) as api, api.connected() as client:
        await client.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await client.answer())[0] == 200
        # It reads no more, as pools of clients do not: it cannot say goodbye.
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(WAIT_S_MAX):
            await api.server.stop(timeout_s=10 * WAIT_S_MAX)


async def test_a_large_answer_reaches_a_slow_reader_whole(tmp_path: Path) -> None:
    options = replace(OPTIONS, timeout_s=0.5)
    async with served(tmp_path, options=options) as api:
        async with api.connected() as client:
            for number in range(3):
                pod = {"name": f"p{number}", "annotations": {"a": "x" * 200_000}}
                body = json.dumps(pod).encode()
                await client.send(
                    f"POST {PODS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                assert (await client.answer())[0] == 201
        with socket.create_connection(("127.0.0.1", api.port)) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
            received = await asyncio.to_thread(_read_slowly, plain, api.context())
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(body)["count"] == 3


def _read_slowly(plain: socket.socket, context: ssl.SSLContext) -> bytes:
    """Ask for a list, and read it for longer than the server waits for a client that stalls."""
    never = threading.Event()
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.settimeout(WAIT_S_MAX)
        request = f"GET {PODS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        received = bytearray()
        while chunk := connection.recv(16_384):
            received += chunk
            never.wait(0.02)
    return bytes(received)


async def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    options = replace(OPTIONS, timeout_s=0.3)
    async with served(tmp_path, options=options) as api, api.connected() as client:
        await client.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000)
        server = api.server._server
        assert server is not None
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(WAIT_S_MAX):
            while server.server_state.connections:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


def _subject(connection: Connection) -> str:
    shown = connection.writer.get_extra_info("ssl_object").getpeercert()
    return dict(pair[0] for pair in shown["subject"])["commonName"]
