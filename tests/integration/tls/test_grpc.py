"""gRPC over TLS: who is trusted, what is refused, and what a change of certificates does."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.api import ANY_PORT, WAIT_S_MAX, grpc_server
from tests.support.certificates import Pair, TestAuthority, listener_tls, replace_pair
from tests.support.stores import embedded

from decube.api.grpc import GrpcOptions
from decube.api.identity import Identity
from decube.pb.decube import decube_pb2, decube_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from decube.config.listener_tls import ClientAuth

# Certificates are made while the tests run, which may be a while after this was read.
NOW = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - gRPC looks at the real clock


@dataclass(frozen=True)
class Served:
    """A gRPC API over TLS, and who made its certificate."""

    port: int
    identity: Identity
    authority: TestAuthority

    @asynccontextmanager
    async def channel(
        self, trusted: Path, client: Pair | None = None
    ) -> AsyncIterator[grpc.aio.Channel]:
        credentials = _credentials(trusted, client)
        options = [("grpc.use_local_subchannel_pool", 1)]
        target = f"localhost:{self.port}"
        async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
            yield channel

    async def answers(self, trusted: Path, client: Pair | None = None) -> bool:
        async with self.channel(trusted, client) as channel:
            stub = decube_pb2_grpc.DeCubeServiceStub(channel)
            call = stub.ListPods(decube_pb2.ListPodsRequest(), timeout=WAIT_S_MAX)
            code = await call.code()
        assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
        return code is grpc.StatusCode.OK

    async def shown(self) -> str:
        """Return the subject of the certificate that a new connection is shown."""
        context = ssl.create_default_context(cafile=self.authority.ca_file)
        context.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        subject = writer.get_extra_info("ssl_object").getpeercert()["subject"]
        writer.transport.abort()
        return str(dict(pair[0] for pair in subject)["commonName"])


def _credentials(trusted: Path, client: Pair | None) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        trusted.read_bytes(),
        client and client.key_file.read_bytes(),
        client and client.cert_file.read_bytes(),
    )


async def list_pods(channel: grpc.aio.Channel) -> None:
    stub = decube_pb2_grpc.DeCubeServiceStub(channel)
    await stub.ListPods(decube_pb2.ListPodsRequest(), timeout=WAIT_S_MAX)


@asynccontextmanager
async def served(
    directory: Path,
    pair: Pair | None = None,
    client_auth: ClientAuth = "none",
    handshake_timeout_s: float = 15.0,
) -> AsyncIterator[Served]:
    """Serve gRPC with a certificate, a good one unless it is given."""
    authority = TestAuthority(directory)
    ca_file = None if client_auth == "none" else authority.ca_file
    tls = listener_tls(pair or authority.issue("server"), ca_file, client_auth)
    # A certificate that has expired since the start is served still: hence the earlier now.
    identity = Identity(tls, NOW if pair is None else NOW - timedelta(days=2))
    options = GrpcOptions(
        listen=ANY_PORT, identity=identity, handshake_timeout_s=handshake_timeout_s
    )
    async with embedded() as store, grpc_server(store, options) as server:
        yield Served(server.address.port, identity, authority)


async def test_who_trusts_the_authority_may_call(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        assert await api.answers(api.authority.ca_file)
        assert not await api.answers(TestAuthority(tmp_path, "stranger").ca_file)


async def test_a_client_notices_the_wrong_name_and_an_expired_certificate(tmp_path: Path) -> None:
    made = TestAuthority(tmp_path, "made")
    begin = timedelta(days=-3)
    expired = made.issue("old", begin=begin, duration=timedelta(days=2))
    for pair in (made.issue("elsewhere", "other.test", begin=begin), expired):
        async with served(tmp_path, pair) as api:
            assert not await api.answers(made.ca_file)


async def test_client_certificates_are_required_as_configured(tmp_path: Path) -> None:
    async with served(tmp_path, client_auth="require") as api:
        trusted = api.authority.ca_file
        assert await api.answers(trusted, api.authority.issue("client"))
        assert not await api.answers(trusted)
        assert not await api.answers(trusted, api.authority.expired())
        stranger = TestAuthority(tmp_path, "stranger").issue("impostor")
        assert not await api.answers(trusted, stranger)


async def test_tls_1_1_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        context = ssl.create_default_context(cafile=api.authority.ca_file)
        # Or the client itself would refuse it.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        # gRPC's core closes without an alert.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", api.port, ssl=context)


async def test_a_new_certificate_serves_new_connections_and_old_ones_go_on(tmp_path: Path) -> None:
    async with served(tmp_path) as api, api.channel(api.authority.ca_file) as old:
        watch = health_pb2_grpc.HealthStub(old).Watch(health_pb2.HealthCheckRequest(service="x"))
        assert await watch.read() is not grpc.aio.EOF
        assert await api.shown() == "server"
        pair = Pair(api.identity.tls.certificate.path, api.identity.tls.private_key.path)
        replace_pair(pair, api.authority.issue("renewed"))
        assert [api.identity.refresh(NOW) for _ in range(2)] == [False, True]
        assert await api.shown() == "renewed"
        await list_pods(old)
        assert not watch.done()
        watch.cancel()


async def test_an_authority_that_is_trusted_no_more_lets_nobody_in(tmp_path: Path) -> None:
    async with served(tmp_path, client_auth="require") as api:
        client = api.authority.issue("client")
        kept = tmp_path / "kept.pem"
        kept.write_bytes(api.authority.ca_file.read_bytes())
        assert await api.answers(kept, client)
        api.authority.ca_file.write_bytes(TestAuthority(tmp_path, "next").ca_file.read_bytes())
        assert [api.identity.refresh(NOW) for _ in range(2)] == [False, True]
        assert not await api.answers(kept, client)


async def test_a_handshake_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    async with served(tmp_path, handshake_timeout_s=0.3) as api:
        with socket.create_connection(("127.0.0.1", api.port)) as client:
            client.settimeout(WAIT_S_MAX)
            client.sendall(b"\x16\x03\x01")
            assert await asyncio.to_thread(_ended, client)


def _ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


async def test_plain_text_is_not_served(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        async with grpc.aio.insecure_channel(f"localhost:{api.port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await list_pods(channel)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
