"""A remote store as a user of a real etcd that has authentication enabled."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import grpc
import pytest
from tests.support.cli import Cli
from tests.support.node import EtcdProcess, NodeProcess, ServerProcess
from tests.support.peers import peer
from tests.support.stores import WAIT_S_MAX

from decube.kit.errors import Denied, Unauthenticated
from decube.pb.etcd import rpc_pb2 as rpc
from decube.pb.etcd.rpc_pb2_grpc import AuthStub, KVStub
from decube.store.remote import Credentials, RemoteOptions, RemoteStore
from decube.store.types import KeyRange, Put, RangeRequest, Txn, WatchRequest

if TYPE_CHECKING:
    from pathlib import Path

ROOT = Credentials(username="root", password="root's own")  # noqa: S106 - of a test's etcd
ALICE = Credentials(username="alice", password="alice's own")  # noqa: S106
TOKEN_TTL_S = 1


@pytest.fixture
def address(tmp_path: Path, servers: list[ServerProcess]) -> str:
    """Start an etcd whose tokens are short-lived; alice may only use keys that begin with `a`."""
    etcdctl = peer("etcdctl")
    process = EtcdProcess(tmp_path, f"--auth-token-ttl={TOKEN_TTL_S}")
    servers.append(process)
    process.ensure_started()
    for command in (
        ("user", "add", f"root:{ROOT.password}"),
        ("user", "grant-role", "root", "root"),
        ("role", "add", "a"),
        ("role", "grant-permission", "a", "readwrite", "a", "b"),
        ("user", "add", f"alice:{ALICE.password}"),
        ("user", "grant-role", "alice", "a"),
        ("auth", "enable"),
    ):
        line = [etcdctl, f"--endpoints={process.etcd_address}", *command]
        subprocess.run(line, check=True, capture_output=True, timeout=30)
    return process.etcd_address


async def connect(address: str, credentials: Credentials | None) -> RemoteStore:
    options = RemoteOptions(
        endpoints=(address,), credentials=credentials, request_timeout_s=WAIT_S_MAX
    )
    return await RemoteStore.connect(options)


async def put(store: RemoteStore, key: bytes) -> None:
    await store.txn(Txn(success=(Put(key, b"1"),)))


async def wait_until_tokens_expire(address: str) -> None:
    """Return when etcd has forgotten a token that was made now, and so all before it."""
    async with grpc.aio.insecure_channel(address) as channel:
        request = rpc.AuthenticateRequest(name=ROOT.username, password=ROOT.password)
        token = (await AuthStub(channel).Authenticate(request)).token
        async with asyncio.timeout(WAIT_S_MAX):
            while True:
                # Longer apart than its life, which each use begins anew.
                await asyncio.sleep(2.5 * TOKEN_TTL_S)
                call = KVStub(channel).Range(
                    rpc.RangeRequest(key=b"a"), metadata=(("token", token),)
                )
                if await call.details() == "etcdserver: invalid auth token":
                    return


async def test_a_user_may_do_what_its_role_allows(address: str) -> None:
    store = await connect(address, ALICE)
    try:
        await put(store, b"a1")
        with pytest.raises(Denied):
            await put(store, b"b1")
    finally:
        await store.close()


async def test_a_wrong_password_and_nobody_are_refused(address: str) -> None:
    wrong = Credentials(username="alice", password="guess")  # noqa: S106
    with pytest.raises(Unauthenticated, match="invalid user ID or password") as refused:
        await put(await connect(address, wrong), b"a1")
    shown = repr(RemoteOptions(endpoints=(address,), credentials=wrong))
    assert "guess" not in repr(refused.value) + shown
    with pytest.raises(Unauthenticated, match="user name is empty"):
        await put(await connect(address, None), b"a1")


async def test_an_expired_token_is_renewed_unseen(address: str) -> None:
    store = await connect(address, ROOT)
    try:
        request = WatchRequest(range=KeyRange.prefix(b"a"))
        async with store.watch(request) as batches:
            await put(store, b"a1")
            await wait_until_tokens_expire(address)
            # A write, which is never sent twice but where it is certain that it was not executed.
            await put(store, b"a2")
            lease = await store.lease_grant(60)
            assert await store.lease_keep_alive(lease.id) > 0
            keys: list[bytes] = []
            async with asyncio.timeout(WAIT_S_MAX):
                while len(keys) < 2:
                    keys += [event.kv.key for event in (await anext(batches)).events]
            assert keys == [b"a1", b"a2"]
        found = await store.range(RangeRequest(range=KeyRange.prefix(b"a")))
        assert [kv.key for kv in found.kvs] == [b"a1", b"a2"]
    finally:
        await store.close()


async def test_a_watch_that_begins_with_an_old_token_gets_a_new_one(address: str) -> None:
    store = await connect(address, ROOT)
    try:
        await put(store, b"a1")
        await wait_until_tokens_expire(address)
        request = WatchRequest(range=KeyRange.prefix(b"a"))
        async with asyncio.timeout(WAIT_S_MAX), store.watch(request) as batches:
            await put(store, b"a2")
            assert (await anext(batches)).events[0].kv.key == b"a2"
    finally:
        await store.close()


def test_a_node_is_the_user_that_it_is_told(
    address: str, tmp_path: Path, servers: list[ServerProcess]
) -> None:
    settings = {
        "DECUBE_STORE_BACKEND": "etcd",
        "DECUBE_STORE_ENDPOINTS": address,
        "DECUBE_STORE_USERNAME": ROOT.username,
        "DECUBE_STORE_PASSWORD": ROOT.password,
    }
    directory = tmp_path / "node"
    directory.mkdir()
    node = NodeProcess(directory, **settings)
    servers.append(node)
    node.ensure_started()
    cli = Cli({"DECUBE_ADDRESS": node.rest_address})
    assert cli("pods", "create", "web").returncode == 0
    assert node.stop() == 0
    shown = Cli(settings)("config", "show")
    assert ROOT.password not in node.said() + shown.stdout

    wrong = {"DECUBE_NODE_DATA_DIR": str(directory), "DECUBE_STORE_PASSWORD": "guess"}
    refused = Cli({**settings, **wrong})("up")
    assert refused.returncode == 10
    assert "invalid user ID or password" in refused.stderr
