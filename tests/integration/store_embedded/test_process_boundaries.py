"""The embedded store at the edges of its process: forks, drops, second owners, refusals."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.stores import Scene, embedded, take_events

from decube.kit.errors import Closed, Denied, Exhausted, Invalid, Unavailable
from decube.store.embedded import EmbeddedOptions, EmbeddedStore, EtcdListenerOptions
from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT_S_MAX = 60

FORK = """
import asyncio, json, os, sys
from decube.kit.errors import Closed
from decube.store.embedded import EmbeddedOptions, EmbeddedStore
from decube import _native

async def main():
    store = await EmbeddedStore.open(EmbeddedOptions())
    engine = store._engine
    watch = engine.watch(b"a", b"", 0, False)
    listener = engine.serve_etcd(__import__("decube.store.embedded.options", fromlist=["x"])
        .EtcdListenerOptions(address="127.0.0.1:0"))
    calls = {
        "range": lambda: engine.range(b"a", b"", 0, 0, False, False),
        "txn": lambda: engine.submit_txn(1, [], [], []),
        "compact": lambda: engine.submit_compact(1, 1),
        "grant": lambda: engine.submit_lease_grant(1, 0, 10),
        "revoke": lambda: engine.submit_lease_revoke(1, 1),
        "keep alive": lambda: engine.submit_lease_keep_alive(1, 1),
        "lease status": lambda: engine.lease_status(1, False),
        "leases": engine.leases,
        "status": engine.status,
        "hash": lambda: engine.hash_kv(0),
        "watch": lambda: engine.watch(b"a", b"", 0, False),
        "take": engine.take,
        "fileno": engine.fileno,
        "close": engine.close,
        "watch take": lambda: watch.take(1),
        "watch progress": watch.request_progress,
        "watch close": watch.close,
        "listener stop": lambda: listener.stop(1.0),
    }
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        kinds = {}
        for name, call in calls.items():
            try:
                call()
                kinds[name] = "answered"
            except _native.StoreError as error:
                kinds[name] = error.args[0]
        del engine, watch, listener, store, calls
        os.write(writer, json.dumps(kinds).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    answer = engine.range(b"a", b"", 0, 0, False, False)
    print(json.dumps({"child": json.loads(told), "parent": answer.revision}))
    listener.stop(1.0)
    await store.close()

asyncio.run(main())
"""

DROP = """
import asyncio
from decube.store.embedded import EmbeddedOptions, EmbeddedStore
from decube.store.types import Put, Txn

async def main():
    store = await EmbeddedStore.open(EmbeddedOptions())
    await store.txn(Txn(success=(Put(b"a", b"1"),)))
    print("written")

asyncio.run(main())
"""


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore::ResourceWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=SCRIPT_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_forked_child_is_refused_by_every_call_and_harms_nothing() -> None:
    told = json.loads(run(FORK))
    assert told["child"], "the child called nothing"
    assert set(told["child"].values()) == {"forked"}
    assert told["parent"] == 1


def test_a_process_that_forgets_to_close_still_ends() -> None:
    assert run(DROP) == "written\n"


async def test_a_second_owner_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        with pytest.raises(Unavailable) as refused:
            await EmbeddedStore.open(EmbeddedOptions(log_dir=tmp_path))
        assert refused.value.details["reason"] == "locked"
        assert refused.value.details["pid"] == store._pid


async def test_a_store_that_was_closed_opens_again_with_everything(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        first = Scene(store, "embedded-log")
        lease = await store.lease_grant(600)
        revision = await first.put("a", b"kept", lease.id)
    async with embedded(tmp_path) as store:
        again = Scene(store, "embedded-log", first.prefix)
        found = await again.get("a")
        assert found is not None
        assert (found.value, found.mod_revision, found.lease) == (b"kept", revision, lease.id)
        assert await store.leases() == (lease.id,)
        assert (await store.lease_status(lease.id)).remaining_ttl_s <= 600
        assert await again.put("b") == revision + 1
        async with again.watch(revision) as batches:
            told = again.told(await take_events(batches, 2))
        assert told == [f"+a=kept@{revision}", f"+b=v@{revision + 1}"]


async def test_a_directory_that_cannot_be_made_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((Unavailable, Denied)) as refused:
        await EmbeddedStore.open(EmbeddedOptions(log_dir=tmp_path / "file" / "log"))
    assert str(tmp_path / "file") in str(refused.value.details["path"])
    assert "errno" in refused.value.details


async def test_a_cancelled_open_lets_go_of_the_directory(tmp_path: Path) -> None:
    for yields in range(3):
        opening = asyncio.create_task(EmbeddedStore.open(EmbeddedOptions(log_dir=tmp_path)))
        for _ in range(yields):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
    async with embedded(tmp_path) as store:
        assert (await store.status()).revision == 1


async def test_a_full_quota_refuses_writes_and_serves_reads() -> None:
    store = await EmbeddedStore.open(EmbeddedOptions(quota_bytes=100_000))
    scene = Scene(store, "embedded-memory")
    puts = [scene.put(f"{number}", b"x" * 10_000) for number in range(100)]
    with pytest.raises(Exhausted) as refused:
        await asyncio.gather(*puts)
    assert refused.value.details["reason"] == "quota"
    assert 0 < (await scene.list()).count < 100
    await store.close()


async def test_the_limit_of_operations_is_the_configured_one() -> None:
    store = await EmbeddedStore.open(EmbeddedOptions(txn_operations_max=2))
    puts = tuple(Put(b"%d" % number, b"") for number in range(3))
    await store.txn(Txn(success=puts[:2]))
    with pytest.raises(Invalid):
        await store.txn(Txn(success=puts))
    await store.close()


async def test_a_long_list_lets_other_tasks_run_between_its_pages() -> None:
    async with embedded() as store:
        scene = Scene(store, "embedded-memory")
        for start in range(0, 5_000, 100):
            await scene.do(*(Put(scene.key(f"{start + n}"), b"v") for n in range(100)))
        turns = 0
        listing = asyncio.create_task(scene.list())
        while not listing.done():
            turns += 1
            await asyncio.sleep(0)
        assert (await listing).count == 5_000
        assert turns > 4


async def test_a_port_that_is_taken_is_told_with_its_address() -> None:
    async with embedded() as store:
        listener = await store.serve_etcd(EtcdListenerOptions(address="127.0.0.1:0"))
        with pytest.raises(Unavailable) as refused:
            await store.serve_etcd(EtcdListenerOptions(address=listener.address))
        assert refused.value.details["reason"] == "address_in_use"
        assert refused.value.details["address"] == listener.address
        await listener.stop()
        await listener.stop()
        with pytest.raises(Invalid) as unresolved:
            await store.serve_etcd(EtcdListenerOptions(address="nowhere"))
        assert unresolved.value.field == "address"


async def test_nothing_is_left_running_after_close() -> None:
    async with embedded() as store:
        scene = Scene(store, "embedded-memory")
        async with scene.watch(progress=True) as batches:
            await scene.put("a")
            await take_events(batches, 1)
    with pytest.raises(Closed):
        await scene.put("a")
    assert asyncio.all_tasks() == {asyncio.current_task()}
