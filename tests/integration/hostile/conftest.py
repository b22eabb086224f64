"""A node whose etcd port is mistreated, and a client who must not notice."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from tests.support.node import NodeProcess
from tests.support.process_use import ProcessUse

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Unharmed = Callable[[], AbstractContextManager[None]]

SECONDS_MAX = 30.0
# What the allocator may keep of memory that is free.
KEPT_MIB = 96


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Yield a node that must neither panic nor keep anything of what is done to it."""
    process = NodeProcess(tmp_path_factory.mktemp("victim"))
    try:
        process.ensure_started()
        with grpc.insecure_channel(process.etcd_address) as channel:
            put(KVStub(channel), b"before", b"1")
        use = ProcessUse(process.pid)
        files, memory_mib = use.files(), use.memory_mib()
        yield process
        process.require_alive()
        wait_for(lambda: use.files() <= files, f"{files} open files, as before")
        with grpc.insecure_channel(process.etcd_address) as channel:
            kv = KVStub(channel)

            def is_as_before() -> bool:
                # The allocator gives back what is free when it is next used, not by itself.
                put(kv, b"after", b"1")
                return use.memory_mib() <= memory_mib + KEPT_MIB

            wait_for(is_as_before, f"{memory_mib} MiB, as before")
        assert "panic" not in process.said()
        assert process.stop() == 0
    finally:
        process.kill()


@pytest.fixture
def unharmed(victim: NodeProcess) -> Unharmed:
    """Hold that a client of the same node is served while something is done to it."""

    @contextmanager
    def held() -> Iterator[None]:
        failed: list[Exception] = []
        served = threading.Event()
        over = threading.Event()

        def work() -> None:
            with grpc.insecure_channel(victim.etcd_address) as channel:
                kv = KVStub(channel)
                while not over.is_set() and not failed:
                    try:
                        serve_one(kv)
                        served.set()
                    except (grpc.RpcError, AssertionError) as error:
                        failed.append(error)

        bystander = threading.Thread(target=work)
        bystander.start()
        try:
            assert served.wait(SECONDS_MAX)
            served.clear()
            yield
            served.clear()
            assert failed or served.wait(SECONDS_MAX)
        finally:
            over.set()
            bystander.join()
        assert not failed, failed
        victim.require_alive()

    return held


def put(kv: KVStub, key: bytes, value: bytes) -> int:
    request = pb.PutRequest(key=key, value=value)
    return int(kv.Put(request, timeout=SECONDS_MAX).header.revision)


def serve_one(kv: KVStub) -> None:
    revision = put(kv, b"bystander", b"x" * 300)
    (found,) = kv.Range(pb.RangeRequest(key=b"bystander"), timeout=SECONDS_MAX).kvs
    assert found.mod_revision == revision


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Look until it holds, for a bounded number of looks."""
    pause = threading.Event()
    for _ in range(1_000):
        if condition():
            return
        pause.wait(0.03)
    raise AssertionError(f"not in 30 s: {what}")
