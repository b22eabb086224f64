"""What the server does with clients that are slow, stalled, many, or speak no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.rest.test_pods import PODS, create
from tests.support.api import ANY_PORT, WAIT_S_MAX, rest_api, rest_server

from decube.api.rest import RestOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.api import RestApi

HURRIED = RestOptions(listen=ANY_PORT, timeout_s=0.3)
GET_HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST_PODS = b"POST /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Connection:
    """A client that writes bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer that has a length."""
        async with asyncio.timeout(WAIT_S_MAX):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers["content-length"]))
            return int(head[0].split()[1]), headers, body

    async def error(self) -> tuple[int, dict[str, Any]]:
        status, _, body = await self.answer()
        error: dict[str, Any] = json.loads(body)["error"]
        return status, error

    async def is_closed(self) -> bool:
        """Wait until the server ends the connection; what came before it is dropped."""
        async with asyncio.timeout(WAIT_S_MAX):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionError:
                pass
        return True


@asynccontextmanager
async def connected(api: RestApi) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(api.address.host, api.address.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def hurried(api: RestApi) -> AsyncIterator[RestApi]:
    """Serve the store of a patient server also by a hurried one; what is written goes to the first.

    A slow machine could take longer to write than the hurried one waits.
    """
    async with rest_server(api.store, HURRIED) as (server, metrics):
        yield replace(api, server=server, metrics=metrics)


async def test_a_connection_serves_one_request_after_another(api: RestApi) -> None:
    async with connected(api) as client:
        for _ in range(3):
            await client.send(GET_HEALTH)
            assert (await client.answer())[0] == 200


async def test_pipelined_requests_are_answered_in_order(api: RestApi) -> None:
    async with connected(api) as client:
        await client.send(GET_HEALTH + GET_HEALTH.replace(b"/health", b"/none") + GET_HEALTH)
        assert [(await client.answer())[0] for _ in range(3)] == [200, 404, 200]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /health HTTP/1.1\r\nHost: loc",
        POST_PODS + b"Content-Length: 100\r\n\r\n{",
    ],
)
async def test_a_request_that_does_not_arrive_whole_is_timed_out(sent: bytes) -> None:
    async with rest_api(HURRIED) as api, connected(api) as client:
        await client.send(sent)
        status, error = await client.error()
        assert (status, error["code"]) == (408, "timeout")
        assert await client.is_closed()


async def test_a_request_that_drips_is_timed_out() -> None:
    async with rest_api(HURRIED) as api, connected(api) as client:
        answering = asyncio.create_task(client.error())
        for byte in b"GET /health HTTP/1.1\r\nX: " + b"x" * 10_000:
            if answering.done():
                break
            await client.send(bytes([byte]))
            await asyncio.wait({answering}, timeout=0.02)
        assert (await answering)[0] == 408


async def test_a_connection_that_sends_nothing_is_closed() -> None:
    async with rest_api(HURRIED) as api, connected(api) as client:
        assert await client.is_closed()


async def test_a_watch_outlives_every_timeout(api: RestApi) -> None:
    async with hurried(api) as served, connected(served) as client:
        await client.send(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(WAIT_S_MAX):
            await client.reader.readuntil(b"BOOKMARK")
        ended = asyncio.create_task(client.reader.readuntil(b"ADDED"))
        done, _ = await asyncio.wait({ended}, timeout=4 * HURRIED.timeout_s)
        assert not done
        await create(api, "late")
        async with asyncio.timeout(WAIT_S_MAX):
            await ended


async def test_a_client_that_takes_nothing_is_cut_off(api: RestApi) -> None:
    for number in range(12):
        await create(api, f"p{number}", annotations={"a": "x" * 200_000})
    async with hurried(api) as served:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)  # noqa: FBT003 - its only parameter
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, (served.address.host, served.address.port))
            request = b"GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await loop.sock_sendall(client, request * 8)
            assert await loop.sock_recv(client, 1) == b"H", "it is being answered"
            await wait_until_connections(served, 0)


async def wait_until_connections(api: RestApi, count: int) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while _open_connections(api) != count:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


def _open_connections(api: RestApi) -> int:
    server = api.server._server
    assert server is not None
    return len(server.server_state.connections)


async def test_connections_above_the_limit_are_told_to_come_back() -> None:
    options = RestOptions(listen=ANY_PORT, connections_max=2)
    async with rest_api(options) as api:
        async with connected(api) as first, connected(api) as second:
            for client in (first, second):
                await client.send(GET_HEALTH)
                assert (await client.answer())[0] == 200
            async with connected(api) as third:
                status, headers, body = await third.answer()
                assert status == 503
                assert headers["retry-after"] == "1"
                assert json.loads(body)["error"]["code"] == "unavailable"
        assert (await api.client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
        POST_PODS + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_in_the_one_shape(api: RestApi, sent: bytes) -> None:
    async with connected(api) as client:
        await client.send(sent)
        status, headers, body = await client.answer()
        assert (status, json.loads(body)["error"]["code"]) == (400, "invalid")
        assert re.fullmatch("[0-9a-f]{24}", headers["x-request-id"])
        assert await client.is_closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000,
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n",
    ],
)
async def test_a_head_above_the_limit_is_refused(api: RestApi, sent: bytes) -> None:
    async with connected(api) as client:
        await client.send(sent)
        status, error = await client.error()
        assert (status, error["code"]) == (431, "too_large")
        assert await client.is_closed()


async def test_a_body_that_is_too_large_does_not_spoil_the_server(api: RestApi) -> None:
    async with connected(api) as client:
        await client.send(POST_PODS + b"Content-Length: 99999999\r\n\r\n{")
        status, error = await client.error()
        assert (status, error["code"]) == (413, "too_large")
    assert (await api.client.get(PODS)).status_code == 200


async def test_a_client_that_leaves_in_the_middle_is_no_server_error(api: RestApi) -> None:
    async with connected(api) as client:
        await client.send(POST_PODS + b"Content-Length: 100\r\n\r\n{")
        await wait_until_connections(api, 1)
    labels = {"method": "POST", "route": PODS, "status": "400"}
    async with asyncio.timeout(WAIT_S_MAX):
        while api.metrics.get_sample_value("decube_http_requests_total", labels) != 1:
            await api.client.get("/health")


async def test_a_taken_port_is_told(api: RestApi) -> None:
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1"):
        async with rest_api(RestOptions(listen=api.address)):
            pass


async def test_a_request_under_way_ends_before_the_server_does(api: RestApi) -> None:
    async with connected(api) as client:
        await client.send(POST_PODS + b"Content-Length: 12\r\n\r\n")
        await api.client.get("/health")
        stopping = asyncio.create_task(api.server.stop(timeout_s=10.0))
        await client.send(b'{"name":"a"}')
        assert (await client.answer())[0] == 201
        assert await client.is_closed()
        await stopping
