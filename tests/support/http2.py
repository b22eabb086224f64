"""HTTP/2 by hand, for clients that keep to no rule (RFC 9113, RFC 7541)."""

from __future__ import annotations

import contextlib
import socket
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATIENCE_S = 30.0

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20


class Kind(IntEnum):
    """The types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


def frame(
    kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None
) -> bytes:
    """Return a frame; `length` may lie."""
    told = len(payload) if length is None else length
    return told.to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


HELLO = PREFACE + frame(Kind.SETTINGS)
PING = frame(Kind.PING, payload=b"echo me.")
PONG = frame(Kind.PING, ACK, payload=b"echo me.")


def field(name: bytes, value: bytes) -> bytes:
    """Return a header field that no table is needed for."""
    return b"\0" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    prefix_max = 127
    if len(text) < prefix_max:
        return bytes((len(text),)) + text
    rest, head = len(text) - prefix_max, bytes((prefix_max,))
    while rest >= 128:
        head += bytes((rest % 128 + 128,))
        rest //= 128
    return head + bytes((rest,)) + text


def head_of(method: str, *more: bytes) -> bytes:
    """Return the header block of a gRPC call."""
    return b"".join(
        (
            field(b":method", b"POST"),
            field(b":scheme", b"http"),
            field(b":path", f"/etcdserverpb.{method}".encode()),
            field(b":authority", b"etcd"),
            field(b"content-type", b"application/grpc"),
            field(b"te", b"trailers"),
            *more,
        )
    )


def opened(stream: int, method: str, *more: bytes) -> bytes:
    """Return the frame that begins a call."""
    return frame(Kind.HEADERS, END_HEADERS, stream, head_of(method, *more))


def message(content: bytes, length: int | None = None, compressed: int = 0) -> bytes:
    """Return a message of gRPC; `length` may lie."""
    return bytes((compressed,)) + (len(content) if length is None else length).to_bytes(4) + content


def called(stream: int, method: str, content: bytes) -> bytes:
    """Return a whole call."""
    return opened(stream, method) + frame(Kind.DATA, END_STREAM, stream, message(content))


def reset(stream: int) -> bytes:
    """Return the frame that cancels a call."""
    return frame(Kind.RST_STREAM, 0, stream, (8).to_bytes(4))


class RawConnection:
    """A socket to the etcd port. What the server thinks of what was sent is read from it."""

    def __init__(self, address: str, hello: bytes = HELLO) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.send(hello)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send, whether or not the server still listens."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield kind, stream and payload of what comes until the server closes."""
        received = b""
        while True:
            while len(received) >= 9 and len(received) >= (end := 9 + int.from_bytes(received[:3])):
                yield received[3], int.from_bytes(received[5:9]), received[9:end]
                received = received[end:]
            try:
                more = self.socket.recv(65_536)
            except ConnectionError:
                return
            if not more:
                return
            received += more

    def lives(self) -> bool:
        """Whether the server still answers on this connection; else it has closed it."""
        self.send(PING)
        return any(kind == Kind.PING and data == PONG[9:] for kind, _, data in self.frames())

    def ended_by(self) -> set[int]:
        """Return the kinds of frames that came until the server closed."""
        return {kind for kind, _, _ in self.frames()}
