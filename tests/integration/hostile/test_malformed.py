"""What is no HTTP/2, no gRPC or no protobuf ends its own call or connection, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from tests.support.http2 import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    PATIENCE_S,
    PREFACE,
    WITH_PRIORITY,
    Kind,
    RawConnection,
    called,
    field,
    frame,
    head_of,
    message,
    opened,
)

from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from tests.integration.hostile.conftest import Unharmed
    from tests.support.node import NodeProcess

HEAD = head_of("KV/Range")
KEY = b"\x0a\x01k"
GARBAGE = bytes(range(256)) * 64

# Errors of the connection: the server closes it.
CLOSED = {
    "a frame of 16 MiB": frame(Kind.DATA, 0, 1, b"x" * 100, length=(1 << 24) - 1),
    "garbage": GARBAGE,
    "data of no stream": frame(Kind.DATA, 0, 0, b"x"),
    "data of a stream that is not open": frame(Kind.DATA, 0, 5, b"x"),
    "a call on a stream of the server": frame(Kind.HEADERS, END_HEADERS, 2, HEAD),
    "a call on no stream": frame(Kind.HEADERS, END_HEADERS, 0, HEAD),
    "more headers of none": frame(Kind.CONTINUATION, END_HEADERS, 1, HEAD),
    "data amid headers": frame(Kind.HEADERS, 0, 1, HEAD) + frame(Kind.DATA, 0, 1, b"x"),
    "a window that overflows": frame(Kind.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    "a window that grows by nothing": frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
    "half a window update": frame(Kind.WINDOW_UPDATE, 0, 0, b"\0"),
    "settings of odd length": frame(Kind.SETTINGS, payload=b"\0\x03\0"),
    "settings of a stream": frame(Kind.SETTINGS, 0, 1, b"\0\x03\0\0\0\x10"),
    "an acknowledgement with settings": frame(Kind.SETTINGS, ACK, 0, b"\0\x03\0\0\0\x10"),
    "a window above the maximum": frame(Kind.SETTINGS, payload=b"\0\x04\xff\xff\xff\xff"),
    "a ping of odd length": frame(Kind.PING, payload=b"abc"),
    "a push": frame(Kind.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + HEAD),
    "a reset of a stream that never was": frame(Kind.RST_STREAM, 0, 99, b"\0\0\0\x08"),
    "headers of no table": frame(Kind.HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\x0f"),
    "headers cut in the middle": frame(Kind.HEADERS, END_HEADERS, 1, HEAD[:-3]),
    "a table size of 4 GiB": frame(Kind.HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x0f"),
    "more padding than payload": frame(Kind.HEADERS, END_HEADERS | PADDED, 1, b"\xff" + HEAD[:9]),
    "a header in capitals": opened(1, "KV/Range", field(b"Capital", b"1")),
    "headers far too long": frame(Kind.HEADERS, 0, 1, head_of("KV/Range"))
    + frame(Kind.CONTINUATION, 0, 1, field(b"a", b"x" * 16_000)) * 30,
    "long trailers": opened(1, "Watch/Watch")
    + frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, field(b"a", b"x" * 1_000)),
    "a pseudo header that is none": opened(1, "KV/Range", field(b":what", b"1")),
}

# Errors of a stream, or what is to be ignored: the connection goes on.
LEFT_OPEN = {
    "a frame of no known type": frame(0xEE, 0xFF, 0, b"what is this?"),
    "settings of no known kind": frame(Kind.SETTINGS, payload=b"\xee\xee\0\0\0\x01"),
    "a stream that depends on itself": frame(Kind.PRIORITY, 0, 1, b"\0\0\0\x01\x10"),
    "a call that depends on another": frame(
        Kind.HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, b"\0\0\0\x07\x10" + HEAD
    ),
    "a header of the connection": opened(1, "KV/Range", field(b"connection", b"close")),
    "a head without a path": frame(
        Kind.HEADERS, END_HEADERS | END_STREAM, 1, field(b":method", b"POST")
    ),
    "headers of 300 KB": frame(Kind.HEADERS, 0, 1, head_of("KV/Range"))
    + frame(Kind.CONTINUATION, 0, 1, field(b"a", b"x" * 16_000)) * 18
    + frame(Kind.CONTINUATION, END_HEADERS, 1, field(b"b", b"x" * 16_000)),
    "short trailers": opened(1, "KV/Range")
    + frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, field(b"a", b"x")),
}

# No message of gRPC in proper frames.
NO_MESSAGE = {
    "nothing": b"",
    "half a prefix": b"\0\0",
    "a message that ends too soon": message(KEY, length=100),
    "a message of 4 GiB": message(KEY, length=(1 << 32) - 1),
    "a compressed message": message(KEY, compressed=1),
    "two messages": message(KEY) * 2,
}

# No protobuf in a proper message.
NO_REQUEST = {
    "a key of 4 GiB": b"\x0a\xff\xff\xff\xff\x0f",
    "a key that ends too soon": b"\x0a\x7fk",
    "a number without end": b"\x18" + b"\xff" * 20,
    "a field of number 0": b"\x00\x00",
    "a group that does not end": b"\x0b" * 1_000,
    "a wire type that is none": b"\x0f",
    "garbage": GARBAGE,
}


@pytest.mark.parametrize("what", CLOSED)
def test_an_error_of_the_connection_ends_it(
    victim: NodeProcess, unharmed: Unharmed, what: str
) -> None:
    with unharmed(), RawConnection(victim.etcd_address) as hostile:
        hostile.send(CLOSED[what])
        assert not hostile.lives()


@pytest.mark.parametrize("what", LEFT_OPEN)
def test_an_error_of_a_stream_ends_that_alone(
    victim: NodeProcess, unharmed: Unharmed, what: str
) -> None:
    with unharmed(), RawConnection(victim.etcd_address) as hostile:
        hostile.send(LEFT_OPEN[what])
        assert hostile.lives()


@pytest.mark.parametrize("method", ["KV/Range", "KV/Txn", "Watch/Watch", "Lease/LeaseKeepAlive"])
@pytest.mark.parametrize("what", NO_MESSAGE)
def test_a_call_without_a_proper_message_ends_alone(
    victim: NodeProcess, unharmed: Unharmed, what: str, method: str
) -> None:
    with unharmed(), RawConnection(victim.etcd_address) as hostile:
        hostile.send(opened(1, method) + frame(Kind.DATA, END_STREAM, 1, NO_MESSAGE[what]))
        hostile.send(called(3, "KV/Range", KEY))
        assert any(kind == Kind.DATA and stream == 3 for kind, stream, _ in hostile.frames())


@pytest.mark.parametrize("method", ["KV/Range", "KV/Put", "KV/Txn"])
@pytest.mark.parametrize("what", NO_REQUEST)
def test_a_message_that_is_no_request_is_refused(
    victim: NodeProcess, unharmed: Unharmed, what: str, method: str
) -> None:
    with unharmed(), grpc.insecure_channel(victim.etcd_address) as channel:
        call = channel.unary_unary(f"/etcdserverpb.{method}")
        with pytest.raises(grpc.RpcError) as refused:
            call(NO_REQUEST[what], timeout=PATIENCE_S)
        assert refused.value.code() == grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("method", "request_bytes"),
    [
        ("KV/Range", KEY + b"\x1a\x01k"),
        ("KV/Put", KEY + b"\x10\x07"),
        # Within a put of a transaction.
        ("KV/Txn", b"\x12\x07\x12\x05" + KEY + b"\x10\x07"),
        ("Lease/LeaseGrant", b"\x0a\x01k\x08\x3c"),
    ],
)
def test_a_field_of_another_type_is_one_that_is_not_known(
    victim: NodeProcess, unharmed: Unharmed, method: str, request_bytes: bytes
) -> None:
    with unharmed(), grpc.insecure_channel(victim.etcd_address) as channel:
        assert channel.unary_unary(f"/etcdserverpb.{method}")(request_bytes, timeout=PATIENCE_S)


def test_a_watcher_before_a_message_that_is_no_request_is_told_of(
    victim: NodeProcess, unharmed: Unharmed
) -> None:
    create = pb.WatchRequest(create_request=pb.WatchCreateRequest(key=b"k")).SerializeToString()
    with unharmed(), RawConnection(victim.etcd_address) as hostile:
        both = message(create) + message(b"\xff")
        hostile.send(opened(1, "Watch/Watch") + frame(Kind.DATA, 0, 1, both))
        said = []
        for kind, stream, _ in hostile.frames():
            said += [kind] if stream == 1 else []
            if said.count(Kind.HEADERS) > 1:  # The second are trailers.
                break
        assert said == [Kind.HEADERS, Kind.DATA, Kind.HEADERS]


@pytest.mark.parametrize("start", [b"", b"PRI * HTTP", b"GET / HTTP/1.1\r\n", GARBAGE, PREFACE])
def test_a_connection_that_is_left_in_the_middle_is_nobodys_loss(
    victim: NodeProcess, unharmed: Unharmed, start: bytes
) -> None:
    with unharmed():
        for _ in range(20):
            with RawConnection(victim.etcd_address, hello=start):
                pass
