"""Floods that have names of their own cost the node little, and other clients nothing."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from tests.support.http2 import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HELLO,
    PING,
    PREFACE,
    Kind,
    RawConnection,
    called,
    field,
    frame,
    head_of,
    message,
    opened,
    reset,
)
from tests.support.process_use import ProcessUse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.hostile.conftest import Unharmed
    from tests.support.node import NodeProcess

CONNECTIONS = 10
STREAMS = 5_000
# What one of these floods may make the node hold at its peak.
PEAK_MIB = 128
# What requests may take together while they arrive.
# The buffers that they are kept in may be twice as long.
ARRIVING_MIB = 512
# For a server that reads no more of a flood.
UNREAD_S = 1.0
KEY = b"\x0a\x01k"
# Of requests that never end: what they say, and what is sent of them. A stream takes 256 KiB.
LARGE_BYTES = 1_400_000
FRAME_BYTES = 16_384
HALF_BYTES = 12 * FRAME_BYTES
HALVES = 400


# A field that is kept in the table of headers.
KEPT = b"\x40\x01a\x01b"


def streams(count: int = STREAMS) -> Iterator[int]:
    return iter(range(1, 2 * count, 2))


# Of one connection each.
FLOODS = {
    # CVE-2023-44487.
    "calls that are reset at once": b"".join(opened(n, "KV/Range") + reset(n) for n in streams()),
    "calls that are reset when they are whole": b"".join(
        called(n, "KV/Range", KEY) + reset(n) for n in streams()
    ),
    # CVE-2025-8671: the server is made to reset.
    "calls that the server has to reset": b"".join(
        opened(n, "KV/Range") + frame(Kind.WINDOW_UPDATE, 0, n, b"\0\0\0\0") for n in streams()
    ),
    # CVE-2024-27316.
    "headers without end": frame(Kind.HEADERS, 0, 1, head_of("KV/Range"))
    + frame(Kind.CONTINUATION, 0, 1, field(b"a", b"x" * 4_000)) * 1_000,
    # Each of them is a list of a thousand fields to who takes them.
    "trailers that nobody reads": b"".join(
        opened(n, "Watch/Watch")
        + frame(Kind.HEADERS, END_HEADERS | END_STREAM, n, KEPT + b"\xbe" * 1_000)
        for n in streams()
    ),
    "empty headers without end": frame(Kind.HEADERS, 0, 1, head_of("KV/Range"))
    + frame(Kind.CONTINUATION, 0, 1) * 100_000,
    # CVE-2019-9512, -9515, -9518.
    "pings": PING * 100_000,
    "settings": frame(Kind.SETTINGS) * 100_000,
    "empty data": opened(1, "KV/Put") + frame(Kind.DATA, 0, 1) * 100_000,
    "priorities": frame(Kind.PRIORITY, 0, 1, b"\0\0\0\x03\x10") * 100_000,
    "windows": frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\0\x01") * 100_000,
    "padding": opened(1, "KV/Put") + frame(Kind.DATA, 0x8, 1, b"\xff" + b"\0" * 255) * 10_000,
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_costs_little(victim: NodeProcess, unharmed: Unharmed, what: str) -> None:
    within = ProcessUse(victim.pid).peak_within(PEAK_MIB)
    with within, unharmed(), ExitStack() as open_ones:
        for _ in range(CONNECTIONS):
            hostile = open_ones.enter_context(RawConnection(victim.etcd_address))
            # What the server has to say about it is not read, and has to wait.
            hostile.socket.settimeout(UNREAD_S)
            with suppress(TimeoutError):
                hostile.send(FLOODS[what])


def test_clients_that_say_nothing_or_little_are_nobodys_loss(
    victim: NodeProcess, unharmed: Unharmed
) -> None:
    starts = [b"", b"P", PREFACE, HELLO, HELLO + frame(Kind.HEADERS, 0, 1, head_of("KV/Range"))]
    with unharmed(), ExitStack() as open_ones:
        slow = [
            open_ones.enter_context(RawConnection(victim.etcd_address, hello=start))
            for start in starts * 60
        ]
        # One byte at a time of a request that never ends.
        for byte in frame(Kind.DATA, 0, 1, message(KEY, length=100))[:10]:
            for connection in slow:
                connection.send(bytes((byte,)))


def test_halves_of_large_requests_have_a_bound_in_common(
    victim: NodeProcess, unharmed: Unharmed
) -> None:
    """Each may be as large as a request may be, and there may be thousands on a connection."""
    within = ProcessUse(victim.pid).peak_within(ARRIVING_MIB + PEAK_MIB)
    with within, unharmed(), ExitStack() as open_ones:
        for _ in range(CONNECTIONS):
            hostile = open_ones.enter_context(RawConnection(victim.etcd_address))
            send_halves(hostile)
            assert hostile.lives()


def send_halves(hostile: RawConnection) -> None:
    """Begin many large requests, as fast as the server takes them in."""
    start = message(b"x" * (HALF_BYTES - 5), length=LARGE_BYTES)
    pieces = [start[at : at + FRAME_BYTES] for at in range(0, HALF_BYTES, FRAME_BYTES)]
    frames = hostile.frames()
    assert next(frames)[0] == Kind.SETTINGS
    # Until then a stream takes 64 KiB.
    hostile.send(frame(Kind.SETTINGS, ACK))
    window = 65_535
    for stream in streams(HALVES):
        hostile.send(opened(stream, "KV/Put"))
        for piece in pieces:
            while window < len(piece):
                kind, of, payload = next(frames)
                if kind == Kind.WINDOW_UPDATE and of == 0:
                    window += int.from_bytes(payload)
            hostile.send(frame(Kind.DATA, 0, stream, piece))
            window -= len(piece)


def test_headers_that_never_end_have_a_bound_in_common(
    victim: NodeProcess, unharmed: Unharmed
) -> None:
    """Few bytes may stand for a long list, and it is kept as long as its end does not come."""
    begun = frame(Kind.HEADERS, 0, 1, head_of("KV/Range", KEPT + b"\xbe" * 7_000))
    within = ProcessUse(victim.pid).peak_within(PEAK_MIB)
    with within, unharmed(), ExitStack() as open_ones:
        hostile = [
            open_ones.enter_context(RawConnection(victim.etcd_address)) for _ in range(1_000)
        ]
        for connection in hostile:
            connection.send(begun)
        assert not hostile[-1].lives()
