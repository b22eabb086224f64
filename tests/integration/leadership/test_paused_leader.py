"""A leader stopped past its lease goes on without knowing it; the store refuses its writes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.leading_writer import KEY
from tests.support.stores import WAIT_S_MAX, remote

from decube.services.leadership import Candidate, Leadership
from decube.store.types import KeyRange, Put, RangeRequest, Txn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from decube.services.leadership import FencedStore

ROOT = Path(__file__).resolve().parents[3]
TTL_S = 3


async def test_a_leader_stopped_past_its_lease_cannot_write(fresh_etcd: Callable[[], str]) -> None:
    address = fresh_etcd()
    with leading_writer(address, "a") as paused:
        assert ask_to_write(paused)["is_leader"]
        paused.send_signal(signal.SIGSTOP)
        written = asyncio.Event()

        async def work(store: FencedStore) -> None:
            await store.txn(Txn(success=(Put(KEY, b"b"),)))
            written.set()

        async with remote(address) as store:
            other = Leadership(store, Candidate("b", "b"), ttl_s=TTL_S, work=(work,))
            leading = asyncio.create_task(other.run())
            async with asyncio.timeout(WAIT_S_MAX):
                await written.wait()
            paused.send_signal(signal.SIGCONT)
            answer = await asyncio.to_thread(ask_to_write, paused)
            assert answer == {"is_leader": False, "refused": "b"}
            kept = await store.range(RangeRequest(range=KeyRange(KEY)))
            assert kept.kvs[0].value == b"b"
            assert other.is_leader
            leading.cancel()
            await asyncio.wait([leading])


@contextmanager
def leading_writer(etcd_address: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """Run a leader in a process of its own, that leads when this returns."""
    command = [sys.executable, "-m", "tests.support.leading_writer", etcd_address, name, str(TTL_S)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "leading\n"
            yield process
        finally:
            process.kill()


def ask_to_write(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Have the leader write, and tell how it went."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("write\n")
    process.stdin.flush()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told
