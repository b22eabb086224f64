"""HTTP/1.1 with deadlines and bounds, which uvicorn's protocol has not.

* A request has arrived whole `timeout_s` after its first byte, or the connection's; else 408. One
  whose body is a stream, to a path that ends with `streamed_suffix`, may take longer as a whole:
  only its next bytes may not, except while they are not wanted yet.
* A client that takes nothing at all of what is written for `timeout_s` is cut off. One that reads,
  however slowly, is not: a healthy watch never ends here.
* Request line and headers have a size limit (431); bytes that are not HTTP get a 400.
* Above `connections_max` a new connection gets a 503 and is closed.
* An application whose answer has begun and cannot be ended may break it off.
* What is answered here, before there is a request for the application, has a request id as well.

Deadlines are armed only when something is unfinished, so that a request that arrives in one piece
and is answered costs none.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from decube.api.rest.errors import error_body

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from litestar.types import Scope
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

RETRY_AFTER_S = 1
TCP_KEEP_ALIVE_IDLE_S = 60

_BREAK_OFF = "decube.break_off"


@dataclass(frozen=True, slots=True)
class Bounds:
    """See the module."""

    timeout_s: float
    header_bytes_max: int
    connections_max: int
    new_request_id: Callable[[], str]
    streamed_suffix: bytes


def break_off(scope: Scope) -> None:
    """Close the connection in the middle of an answer: the client sees that it is not whole.

    The application then waits until the client is told to have gone, and returns.
    """
    extensions = cast("dict[str, Callable[[], None]]", scope.get("extensions") or {})
    extensions[_BREAK_OFF]()


class _HeadersTooLargeError(Exception):
    """Leaves the parser; uvicorn sees it as a parser error."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        bounds: Bounds,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._in_head = True
        self._in_message = False
        self._is_streamed = False
        self._head_bytes = 0
        self._head_too_large = False
        self._request_deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._unwritten = 0

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound the number of connections."""
        transport = cast("asyncio.Transport", transport)
        if len(self.connections) >= self._bounds.connections_max:
            self.transport = transport
            self._answer_and_close(503, "unavailable", "too many connections: try again")
            return
        super().connection_made(transport)
        _keep_alive(transport)
        self._arm_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._disarm_request()
        self._disarm_write()
        super().connection_lost(exc)

    # Reading

    def data_received(self, data: bytes) -> None:
        """Arm the deadline when a request is unfinished."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > self._bounds.header_bytes_max:
            self._refuse_headers()
        elif not self._in_message:
            self._disarm_request()
        else:
            if self._is_streamed:
                self._disarm_request()
            self._arm_request()

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._in_message = True
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {_BREAK_OFF: self._close}

    def on_headers_complete(self) -> None:
        """Bound the size of the head."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._bounds.header_bytes_max:
            self._head_too_large = True
            raise _HeadersTooLargeError
        self._in_head = False
        self._is_streamed = self.url.partition(b"?")[0].endswith(self._bounds.streamed_suffix)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request has arrived whole."""
        self._in_message = False
        self._is_streamed = False
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Refuse in the API's own shape."""
        if self._head_too_large:
            self._refuse_headers()
        else:
            self._answer_and_close(400, "invalid", "this is not an HTTP/1.1 request")

    def _refuse_headers(self) -> None:
        self._answer_and_close(
            431,
            "too_large",
            f"request line and headers have more than {self._bounds.header_bytes_max} bytes",
        )

    def _on_overdue(self) -> None:
        self._request_deadline = None
        if self.transport.is_closing():
            return
        if self._is_streamed and self.flow.read_paused:
            self._arm_request()
            return
        if not self._in_message or self._is_answering():
            self._close()
            return
        self._answer_and_close(
            408, "timeout", f"the request did not arrive within {self._bounds.timeout_s:g} s"
        )

    def _is_answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and cycle.response_started and not cycle.response_complete

    def _arm_request(self) -> None:
        if self._request_deadline is None:
            self._request_deadline = self.loop.call_later(self._bounds.timeout_s, self._on_overdue)

    def _disarm_request(self) -> None:
        if self._request_deadline is not None:
            self._request_deadline.cancel()
            self._request_deadline = None

    # Writing

    def pause_writing(self) -> None:
        """Watch whether the client takes anything."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Stop watching: the client takes what is written."""
        self._disarm_write()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Watch the last bytes of a connection that closes."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        self._close()

    def _watch_writing(self) -> None:
        self._unwritten = self.transport.get_write_buffer_size()
        self._disarm_write()
        if self._unwritten:
            self._write_deadline = self.loop.call_later(
                self._bounds.timeout_s, self._on_no_progress
            )

    def _disarm_write(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _on_no_progress(self) -> None:
        self._write_deadline = None
        if self.transport.get_write_buffer_size() < self._unwritten:
            self._watch_writing()
        else:
            self.transport.abort()

    def _answer_and_close(self, status: int, code: str, message: str) -> None:
        body = error_body(code, message)
        head = [
            STATUS_LINE[status],
            b"content-type: application/json\r\nconnection: close\r\n",
            b"x-request-id: %b\r\n" % self._bounds.new_request_id().encode(),
            b"content-length: %d\r\n" % len(body),
        ]
        if status == 503:  # noqa: PLR2004 - the status is its own name
            head.append(b"retry-after: %d\r\n" % RETRY_AFTER_S)
        self.transport.write(b"".join([*head, b"\r\n", body]))
        self._close()

    def _close(self) -> None:
        """Close once all is written, or cut when the client does not take it."""
        if not self.transport.is_closing():
            self.transport.close()
        self._watch_writing()


def _keep_alive(transport: asyncio.Transport) -> None:
    """Let the kernel find out about a client that vanished while nothing is sent to it."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TCP_KEEP_ALIVE_IDLE_S)
