"""Snapshots of real nodes: put back in place, after a loss, and after `kill -9` in the middle."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pyrage
import pytest
from tests.support.cli import Cli
from tests.support.node import READY_SECONDS_MAX, NodeProcess
from tests.support.s3 import BUCKET
from tests.support.stores import WAIT_S_MAX, remote

from decube.kit.errors import Compacted
from decube.store.types import KeyRange, Put, RangeRequest, Revision, Txn, WatchRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.s3 import S3Server
    from tests.support.stores import Store

SNAPSHOTS = "/api/v1/snapshots"
KEYS = KeyRange.prefix(b"test/")
MORE_WRITES = 10_000
WRITERS = 64
KILLS_MAX = 10


def api(node: NodeProcess) -> httpx2.Client:
    return httpx2.Client(base_url=f"http://{node.rest_address}", timeout=WAIT_S_MAX)


def created(client: httpx2.Client) -> dict[str, Any]:
    answer = client.post(SNAPSHOTS)
    assert answer.status_code == 201, answer.text
    snapshot: dict[str, Any] = answer.json()["snapshot"]
    return snapshot


async def put(store: Store, name: str, value: bytes = b"v") -> Revision:
    return (await store.txn(Txn(success=(Put(f"test/{name}".encode(), value),)))).revision


async def contents(store: Store) -> dict[bytes, bytes]:
    return {kv.key: kv.value for kv in (await store.range(RangeRequest(range=KEYS))).kvs}


async def write_on(store: Store, writes: int) -> Revision:
    """Write that many revisions, many at once; return the last."""
    numbers = iter(range(writes))

    async def writer() -> Revision:
        last = Revision(0)
        for number in numbers:
            last = await put(store, f"later-{number % 1000}", b"%d" % number)
        return last

    return max(await asyncio.gather(*(writer() for _ in range(WRITERS))))


async def test_a_restore_goes_back_and_says_so_to_watches(node: NodeProcess) -> None:
    node.ensure_started()
    async with remote(node.etcd_address) as store:
        for number in range(100):
            await put(store, f"key-{number}", b"before")
        before = await contents(store)
        with api(node) as client:
            snapshot = created(client)
            last = await write_on(store, MORE_WRITES)
            assert last >= MORE_WRITES
            watch = WatchRequest(range=KEYS, start_revision=Revision(last + 1))
            async with store.watch(watch) as batches:
                answer = client.post(f"{SNAPSHOTS}/{snapshot['id']}/restore")
                assert answer.status_code == 200, answer.text
                restored = int(answer.json()["restored_revision"])
                with pytest.raises(Compacted) as told:
                    async with asyncio.timeout(WAIT_S_MAX):
                        await anext(batches)
        assert told.value.compact_revision == restored > last
        assert await contents(store) == before
        assert await put(store, "after") > restored
        node.kill()
        node.ensure_started()
        assert await contents(store) == {**before, b"test/after": b"v"}


async def test_a_flipped_bit_changes_nothing(node: NodeProcess) -> None:
    node.ensure_started()
    async with remote(node.etcd_address) as store:
        await put(store, "key", b"before")
        with api(node) as client:
            snapshot = created(client)
            last = await put(store, "key", b"after")
            chunk = node.directory / "data" / "snapshots" / snapshot["id"] / "chunk-0"
            content = bytearray(chunk.read_bytes())
            content[len(content) // 2] ^= 1
            chunk.write_bytes(content)
            watch = WatchRequest(range=KEYS, start_revision=Revision(last + 1))
            async with store.watch(watch) as batches:
                for body in ({}, {"skip_hash_check": True}):
                    answer = client.post(f"{SNAPSHOTS}/{snapshot['id']}/restore", json=body)
                    assert answer.status_code == 422
                    assert answer.json()["error"]["code"] == "damaged"
                    assert "chunk-0" in answer.json()["error"]["message"]
                assert await put(store, "key", b"later") == last + 1
                assert (await anext(batches)).revision == last + 1
            assert await contents(store) == {b"test/key": b"later"}
            verified = client.post(f"{SNAPSHOTS}/{snapshot['id']}/verify").json()
            assert verified["valid"] is False
    told = node.log.read_text()
    assert "a snapshot was not restored" in told
    assert "Traceback" not in told


async def test_a_lost_data_directory_comes_back_from_s3(s3: S3Server, tmp_path: Path) -> None:
    location = f"s3://{BUCKET}/prod"
    lost = NodeProcess(tmp_path / "lost", DECUBE_SNAPSHOT_LOCATION=location)
    found = NodeProcess(tmp_path / "found")
    cli = Cli(dict(s3.environment))
    for process in (lost, found):
        process.directory.mkdir()
    try:
        lost.ensure_started()
        async with remote(lost.etcd_address) as store:
            lease = await store.lease_grant(600)
            await put(store, "key", b"kept")
            await store.txn(Txn(success=(Put(b"test/leased", b"kept", lease.id),)))
            before = await contents(store)
        with api(lost) as client:
            snapshot = created(client)
        lost.kill()
        target = found.environment["DECUBE_NODE_DATA_DIR"]
        done = cli("snapshots", "restore", "--from", location, "--data-dir", target)
        assert done.returncode == 0, done.stderr
        assert snapshot["id"] in done.stdout
        again = cli("snapshots", "restore", "--from", location, "--data-dir", target)
        assert again.returncode == 5
        assert "is not empty" in again.stderr
        found.ensure_started()
        async with remote(found.etcd_address) as store:
            assert await contents(store) == before
            status = await store.lease_status(lease.id, with_keys=True)
            assert status.keys == (b"test/leased",)
            assert status.granted_ttl_s == 600
    finally:
        lost.kill()
        found.kill()


async def test_an_encrypted_snapshot_wants_its_key(node: NodeProcess, tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    identity = tmp_path / "key.txt"
    identity.write_text(f"{key}\n")
    node.environment = {
        **node.environment,
        "DECUBE_SNAPSHOT_ENCRYPTION_RECIPIENTS": str(key.to_public()),
    }
    node.ensure_started()
    async with remote(node.etcd_address) as store:
        await put(store, "key", b"in plain sight")
        with api(node) as client:
            path = f"{SNAPSHOTS}/{created(client)['id']}"
            refused = client.post(f"{path}/restore")
            assert refused.status_code == 403
            error = refused.json()["error"]
            assert "is encrypted, and there is no key" in error["message"]
            assert "snapshot.encryption.identity_file" in error["details"]["hint"]
    chunks = (node.directory / "data" / "snapshots").rglob("chunk-*")
    assert all(chunk.read_bytes().startswith(b"age-encryption.org/v1") for chunk in chunks)
    node.stop()
    node.environment = {
        **node.environment,
        "DECUBE_SNAPSHOT_ENCRYPTION_IDENTITY_FILE": str(identity),
    }
    node.ensure_started()
    with api(node) as client:
        assert client.post(f"{path}/restore").status_code == 200

    cli, source = Cli(), str(node.directory / "data")
    offline = ("snapshots", "restore", "--from", source, "--data-dir")
    without = cli(*offline, str(tmp_path / "without"))
    assert without.returncode == 11
    assert "is encrypted, and there is no key" in without.stderr
    assert "--identity-file" in without.stderr
    with_key = cli(*offline, str(tmp_path / "with"), "--identity-file", str(identity))
    assert with_key.returncode == 0, with_key.stderr


async def test_kill_nine_in_the_middle_leaves_nothing(node: NodeProcess) -> None:
    node.environment = {**node.environment, "DECUBE_SNAPSHOT_COMPRESSION": "false"}
    node.ensure_started()
    async with remote(node.etcd_address) as store:
        # More than a chunk, so that some of it lies there when the first one is whole.
        for number in range(90):
            await put(store, f"large-{number}", bytes(1 << 20))
    folder = node.directory / "data" / "snapshots"
    begun = await killed_while_creating(node, folder)
    node.ensure_started()
    with api(node) as client:
        assert client.get(SNAPSHOTS).json()["snapshots"] == []
        assert client.get(f"{SNAPSHOTS}/{begun['id']}").status_code == 404
        await wait_until(lambda: not any(folder.rglob("chunk-*")))


async def killed_while_creating(node: NodeProcess, folder: Path) -> dict[str, Any]:
    """Kill a node between a chunk and the manifest; it may take some tries to be quicker."""
    for _ in range(KILLS_MAX):
        node.ensure_started()
        with api(node) as client:
            begun: dict[str, Any] = client.post(f"{SNAPSHOTS}?wait=false").json()["snapshot"]
            assert begun["status"] == "creating"
            await wait_until(lambda: any(folder.rglob("chunk-*")))
            node.kill()
        if has_none_whole(folder):
            return begun
        shutil.rmtree(folder)
    raise AssertionError("it was always too fast: nothing was tested")


def has_none_whole(folder: Path) -> bool:
    return not any(folder.rglob("manifest.json"))


async def wait_until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(READY_SECONDS_MAX):
        while not holds():  # noqa: ASYNC110 - what another process does to its files
            await asyncio.sleep(0.002)


async def test_a_node_that_stops_ends_what_it_creates(node: NodeProcess) -> None:
    node.ensure_started()
    async with remote(node.etcd_address) as store:
        for number in range(60):
            await put(store, f"large-{number}", bytes(1 << 20))
    folder = node.directory / "data" / "snapshots"
    with api(node) as client:
        assert client.post(f"{SNAPSHOTS}?wait=false").status_code == 202
    assert node.stop() == 0
    # It was either done by then, or there is nothing of it that anybody takes for a snapshot.
    whole = {manifest.parent.name for manifest in folder.rglob("manifest.json")}
    node.ensure_started()
    with api(node) as client:
        listed = client.get(SNAPSHOTS).json()["snapshots"]
        assert {snapshot["id"] for snapshot in listed} == whole
        assert all(snapshot["status"] == "completed" for snapshot in listed)


async def test_a_point_in_time_comes_back_from_a_snapshot_and_the_log(
    node: NodeProcess, tmp_path: Path
) -> None:
    node.ensure_started()
    async with remote(node.etcd_address) as store:
        await put(store, "key", b"before the snapshot")
        with api(node) as client:
            early = created(client)
            await put(store, "key", b"good")
            good = await put(store, "other", b"good")
            between = datetime.now(UTC)  # noqa: TID251 - as the people who restore do
            await put(store, "key", b"a mistake")
            last = await put(store, "other", b"a mistake")
            late = created(client)
    assert int(early["etcd_revision"]) < good < last == int(late["etcd_revision"])
    node.kill()
    cli, old = Cli(), str(node.directory / "data")
    common = ("snapshots", "restore", "--from", old, "--log-dir", old, "-o", "json", "--data-dir")
    for name, point in (
        ("by-revision", ("--to-revision", str(good))),
        ("by-time", ("--to-time", between.isoformat())),
    ):
        done = cli(*common, str(tmp_path / name), *point)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["snapshot"] == early["id"]
        assert int(told["restored_revision"]) == good
    again = NodeProcess(tmp_path, DECUBE_NODE_DATA_DIR=str(tmp_path / "by-time"))
    try:
        again.ensure_started()
        async with remote(again.etcd_address) as store:
            found = await contents(store)
            assert found == {b"test/key": b"good", b"test/other": b"good"}
            assert (await store.status()).revision > last
    finally:
        again.kill()
    far = cli(*common, str(tmp_path / "far"), "--to-revision", str(last + 1000))
    assert far.returncode == 2
    assert f"reaches to revision {last}" in far.stderr
    assert not (tmp_path / "far").exists()
    late_moment = cli(*common, str(tmp_path / "far"), "--to-time", "2999-01-01T00:00:00Z")
    assert re.search(
        rf"reaches to revision {last}, .* \(that is of 2\d\d\d-.*Z\)", late_moment.stderr
    )
    (as_told,) = re.findall(r"(--to-revision \d+) restores all", late_moment.stderr)
    assert cli(*common, str(tmp_path / "all"), *as_told.split()).returncode == 0
    no_log = cli(
        *common[:5], str(tmp_path), *common[6:], str(tmp_path / "far"), "--to-revision", "2"
    )
    assert (no_log.returncode, "there is no log of a store in" in no_log.stderr) == (3, True)
    before = cli(*common, str(tmp_path / "before"), "--to-revision", "1")
    assert before.returncode == 3
    assert f"no snapshot early enough among 2 in {old}: " in before.stderr
    oldest = f"{early['id']}, is of revision {early['etcd_revision']}, {early['created_at']}"
    assert f"the oldest, {oldest}" in before.stderr
    (manifest,) = (node.directory / "data").rglob(f"{late['id']}/manifest.json")
    await asyncio.to_thread(manifest.write_bytes, b"{")
    before = cli(*common, str(tmp_path / "before"), "--to-revision", "1")
    assert "no snapshot early enough among 1 in" in before.stderr
    assert "1 cannot be read" in before.stderr
