"""Runs the REST API: binds, serves, and drains.

Stopping first ends the watches (their clients resume by resource version), refuses new connections,
lets requests under way end, and cuts what is left when the time is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from decube.api.listening import BACKLOG, listen_on
from decube.api.rest.app import create_app
from decube.api.rest.drain import Drain
from decube.api.rest.front import Front
from decube.api.rest.protocol import BoundedHttpProtocol, Bounds
from decube.api.rest.snapshots import STREAMED_SUFFIX
from decube.api.rest.tls import Handshakes, TlsProtocol
from decube.kit.addresses import Address

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from decube.api.rest.dependencies import RestDependencies


class RestServer:
    """The REST listener. `start`, then `stop` once; both on the same event loop."""

    def __init__(self, dependencies: RestDependencies) -> None:
        self._dependencies = dependencies
        self._drain = Drain()
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        options = dependencies.options
        self._address = options.listen
        self._handshakes: Handshakes | None = None
        if options.identity is not None:
            self._handshakes = Handshakes(
                options.identity, options.handshake_timeout_s, options.connections_max
            )

    @property
    def address(self) -> Address:
        """Where it listens; the port is the real one once started."""
        return self._address

    async def start(self) -> Address:
        """Listen and serve. Raises `OSError` when the address cannot be had."""
        options = self._dependencies.options
        app = Front(create_app(self._dependencies, self._drain), self._dependencies)
        bounds = Bounds(
            timeout_s=options.timeout_s,
            header_bytes_max=options.header_bytes_max,
            connections_max=options.connections_max,
            new_request_id=self._dependencies.ids.request_id,
            streamed_suffix=STREAMED_SUFFIX,
        )
        config = uvicorn.Config(
            app,
            http=self._protocol(bounds),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(options.keep_alive_s),
            backlog=BACKLOG,
        )
        config.load()
        listener = listen_on(options.listen)
        self._address = Address(options.listen.host, listener.getsockname()[1])
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve([listener]), name="rest-server")
        await self._server.wait_until_started(self._serving)
        return self._address

    def _protocol(self, bounds: Bounds) -> type[asyncio.Protocol]:
        """Return what uvicorn calls to make a connection's protocol."""
        make = functools.partial(BoundedHttpProtocol, bounds)
        handshakes = self._handshakes
        if handshakes is None:
            return cast("type[asyncio.Protocol]", make)

        def make_secure(**arguments: Any) -> TlsProtocol:  # noqa: ANN401 - uvicorn's own
            return TlsProtocol(handshakes, functools.partial(make, **arguments))

        return cast("type[asyncio.Protocol]", make_secure)

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Drain for at most `timeout_s`, then cut. Stopping what is not started is fine."""
        if self._server is None or self._serving is None:
            return
        self._drain.begin()
        self._server.config.timeout_graceful_shutdown = max(1, round(timeout_s))
        self._server.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._serving, timeout_s + 1.0)
        self._server = self._serving = None


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the daemon has its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    async def wait_until_started(self, serving: asyncio.Task[None]) -> None:
        """Return when it listens; raise what kept it from that."""
        listening = asyncio.create_task(self._listening.wait())
        await asyncio.wait({listening, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            await serving

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
