"""TLS for the HTTP protocol: a layer between the socket's transport and the protocol above.

The event loop's own TLS tells a client that it refuses nothing (the alert is lost), waits for the
client's leave at the end, and hides how much is unwritten. This one sends its alerts, closes when
all is written, and shows the buffer of the socket, so that the deadlines of `protocol` hold.

A connection that has not shaken hands holds nothing but its socket, for `handshake_timeout_s` at
the most; above `handshakes_max` of them new ones are closed at once. Each handshake uses the
certificate of the moment. Plain HTTP is told that it is in the wrong place.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from decube.api.rest.errors import error_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from decube.api.identity import Identity

_log = structlog.get_logger("decube.tls")

_READ_BYTES: Final = 64 * 1024
_BODY: Final = error_body(
    "tls_required", "this listener speaks TLS: write https:// instead of http://"
)
_PLAIN_ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


@dataclass(frozen=True, slots=True)
class Handshakes:
    """How a listener shakes hands, and who is at it."""

    identity: Identity
    timeout_s: float
    number_max: int
    under_way: set[TlsProtocol] = field(default_factory=set)


class TlsProtocol(asyncio.Protocol):
    """The lower side of a connection: what the event loop speaks to."""

    def __init__(self, handshakes: Handshakes, make_protocol: Callable[[], Any]) -> None:
        self._handshakes = handshakes
        self._make_protocol = make_protocol
        self._upper: asyncio.Protocol | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._began = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake, unless too many do."""
        self._lower = cast("asyncio.Transport", transport)
        if len(self._handshakes.under_way) >= self._handshakes.number_max:
            self._lower.abort()
            return
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = self._handshakes.identity.material.context
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._handshakes.under_way.add(self)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._handshakes.timeout_s, self._lower.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol above, if it ever knew."""
        self._end_handshake()
        if self._upper is not None:
            self._upper.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or hand up what was meant for the protocol above."""
        if self._lower.is_closing():
            return
        is_first, self._began = not self._began, True
        if is_first and data[:1].isalpha():
            # No record of TLS begins with a letter, and every request of HTTP does.
            self._lower.write(_PLAIN_ANSWER)
            self._lower.close()
            return
        self._incoming.write(data)
        try:
            if self._upper is None:
                self._shake_hands()
            self.hand_up()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            client = self._lower.get_extra_info("peername")
            _log.debug("a client of TLS is refused", client=client, reason=error.reason)
            # The alert that says why is among what goes out.
            self.flush()
            self._lower.close()
        else:
            self.flush()

    def eof_received(self) -> None:
        """Let the transport close: HTTP knows by itself whether all has come."""

    def pause_writing(self) -> None:
        """Pass it on: the buffer is the socket's."""
        if self._upper is not None:
            self._upper.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._upper is not None:
            self._upper.resume_writing()

    def hand_up(self) -> None:
        """Decrypt what has come, as long as the protocol above reads."""
        upper, transport = self._upper, self._transport
        while upper is not None and not transport.reading_paused:
            if self._lower.is_closing():
                return
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                return
            if not data:
                transport.close()
                return
            upper.data_received(data)

    def flush(self) -> None:
        """Send what is encrypted."""
        if self._outgoing.pending:
            self._lower.write(self._outgoing.read())

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            raise
        self._end_handshake()
        self.flush()
        self._transport = _TlsTransport(self, self._lower, self._tls)
        self._upper = cast("asyncio.Protocol", self._make_protocol())
        self._upper.connection_made(self._transport)

    def _end_handshake(self) -> None:
        self._handshakes.under_way.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _TlsTransport(asyncio.Transport):
    """The upper side: what the HTTP protocol writes to."""

    def __init__(self, protocol: TlsProtocol, lower: asyncio.Transport, tls: ssl.SSLObject) -> None:
        super().__init__({"sslcontext": tls.context, "ssl_object": tls})
        self._protocol = protocol
        self._lower = lower
        self._tls = tls
        self.reading_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's
        """Tell of TLS, else of the socket."""
        own = super().get_extra_info(name)
        return self._lower.get_extra_info(name, default) if own is None else own

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if data and not self._lower.is_closing():
            self._tls.write(data)
            self._protocol.flush()

    def close(self) -> None:
        """Say goodbye, and close when all is written."""
        if self._lower.is_closing():
            return
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._protocol.flush()
        self._lower.close()

    def abort(self) -> None:
        """Close at once."""
        self._lower.abort()

    def is_closing(self) -> bool:
        """Tell whether it takes no more."""
        return self._lower.is_closing()

    def get_write_buffer_size(self) -> int:
        """Tell how many bytes the socket has not taken."""
        return self._lower.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Hand up no more."""
        self.reading_paused = True
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Hand up again, beginning with what is here already."""
        self.reading_paused = False
        self._lower.resume_reading()
        asyncio.get_running_loop().call_soon(self._protocol.data_received, b"")
