"""A list of any length is streamed in the memory of a few chunks, however slowly it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

MIB = 1 << 20
VALUE_BYTES = MIB
EXTRA_BYTES_MAX = 48 * MIB
CALL_SECONDS_MAX = 600.0
# As etcd's the first chunk has ten keys, however long.
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", 64 * MIB)]
ALL = pb.RangeRequest(key=b"\0", range_end=b"\0")


def resident_bytes(pid: int, line: str) -> int:
    """Read the memory a process has (`VmRSS`), or had at most (`VmHWM`)."""
    for told in Path(f"/proc/{pid}/status").read_text().splitlines():
        if told.startswith(f"{line}:"):
            return int(told.split()[1]) * 1024
    raise AssertionError(f"no {line}")


def check_memory(node: NodeProcess, values: int) -> None:
    node.ensure_started()
    with (
        grpc.insecure_channel(node.etcd_address, CHANNEL_OPTIONS) as channel,
        grpc.insecure_channel(node.etcd_address, CHANNEL_OPTIONS) as stalled_channel,
    ):
        kv = KVStub(channel)
        for number in range(values):
            value = number.to_bytes(8) * (VALUE_BYTES // 8)
            kv.Put(pb.PutRequest(key=b"%06d" % number, value=value), timeout=CALL_SECONDS_MAX)
        before = resident_bytes(node.pid, "VmRSS")
        Path(f"/proc/{node.pid}/clear_refs").write_text("5")
        stalled = KVStub(stalled_channel).RangeStream(ALL, timeout=CALL_SECONDS_MAX)
        next(stalled)
        read = 0
        for chunk in kv.RangeStream(ALL, timeout=CALL_SECONDS_MAX):
            for kv_read in chunk.range_response.kvs:
                assert kv_read.key == b"%06d" % read
                assert kv_read.value[:8] == read.to_bytes(8)
                assert len(kv_read.value) == VALUE_BYTES
                read += 1
        assert read == values
        assert resident_bytes(node.pid, "VmHWM") < before + EXTRA_BYTES_MAX
        stalled.cancel()


def test_a_list_of_128_mib_is_streamed_in_bounded_memory(node: NodeProcess) -> None:
    check_memory(node, 128)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_list_of_1_gib_is_streamed_in_bounded_memory(node: NodeProcess) -> None:
    check_memory(node, 1_024)
