"""Accepts TLS connections, and hands those whose handshake succeeded to the HTTP protocol.

A connection that has not shaken hands holds nothing but its socket, for `handshake_timeout_s` at
the most; above `handshakes_max` of them new ones are closed at once. Each handshake uses the
certificate of the moment. Plain HTTP is told that it is in the wrong place.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from decube.api.rest.errors import error_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from decube.api.identity import Identity

_HANDSHAKE_RECORD: Final = b"\x16"
_OUT_OF_SOCKETS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_OUT_OF_SOCKETS_PAUSE_S: Final = 0.5
# The protocol ends a connection much earlier; by itself the loop would cut off slow readers.
_SHUTDOWN_TIMEOUT_S: Final = 3600.0

_BODY: Final = error_body(
    "tls_required", "this listener speaks TLS: write https:// instead of http://"
)
_PLAIN_ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


@dataclass(frozen=True, slots=True)
class HandshakeBounds:
    """See the module."""

    handshake_timeout_s: float
    handshakes_max: int


class TlsAcceptor:
    """What uvicorn takes for a server: it closes it, and waits for that."""

    def __init__(
        self,
        listener: socket.socket,
        identity: Identity,
        bounds: HandshakeBounds,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listener = listener
        self._identity = identity
        self._bounds = bounds
        self._make_protocol = make_protocol
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept(), name="rest-accept")

    @property
    def handshakes(self) -> int:
        """How many connections have not shaken hands yet."""
        return len(self._handshakes)

    def close(self) -> None:
        """Accept no more, and drop who has not shaken hands."""
        self._accepting.cancel()
        for handshake in self._handshakes:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Return when it does nothing any more."""
        await asyncio.wait({self._accepting, *self._handshakes})

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                # Whoever left before we looked is nobody's trouble; no sockets pass by, too.
                if error.errno in _OUT_OF_SOCKETS:
                    await asyncio.sleep(_OUT_OF_SOCKETS_PAUSE_S)
                continue
            if len(self._handshakes) >= self._bounds.handshakes_max:
                connection.close()
                continue
            handshake = asyncio.create_task(self._shake_hands(connection), name="rest-handshake")
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._bounds.handshake_timeout_s
        owned = True
        try:
            async with asyncio.timeout_at(deadline_s):
                first = await _peek(connection)
            if first != _HANDSHAKE_RECORD:
                _tell_plain(connection, first)
                return
            owned = False
            await loop.connect_accepted_socket(
                self._make_protocol,
                connection,
                ssl=self._identity.material.context,
                ssl_handshake_timeout=max(0.001, deadline_s - loop.time()),
                ssl_shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
            )
        except OSError:
            # Timeouts and refused certificates alike: the client was told by an alert, if it reads.
            pass
        finally:
            if owned:
                connection.close()


async def _peek(connection: socket.socket) -> bytes:
    """Wait for the first byte, and leave it where it is."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)  # noqa: FBT003 - its only parameter
    arrived = asyncio.Event()
    loop.add_reader(connection, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


def _tell_plain(connection: socket.socket, first: bytes) -> None:
    """Answer who speaks something else; the request is read, lest the system resets the answer."""
    if not first.isalpha():
        return
    with contextlib.suppress(OSError):
        connection.recv(65_536)
        connection.send(_PLAIN_ANSWER)
        connection.shutdown(socket.SHUT_WR)
