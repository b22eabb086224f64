"""What the settings of a node do to its snapshots."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.support.cli import Cli
from tests.support.node import READY_SECONDS_MAX, NodeProcess
from tests.support.stores import WAIT_S_MAX, remote

from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SNAPSHOTS = "/api/v1/snapshots"


def listed(node: NodeProcess) -> list[dict[str, Any]]:
    answer = httpx2.get(f"http://{node.rest_address}{SNAPSHOTS}", timeout=WAIT_S_MAX)
    snapshots: list[dict[str, Any]] = answer.json()["snapshots"]
    return snapshots


def create(node: NodeProcess) -> httpx2.Response:
    return httpx2.post(f"http://{node.rest_address}{SNAPSHOTS}", timeout=WAIT_S_MAX)


async def write(node: NodeProcess, value: bytes) -> None:
    async with remote(node.etcd_address) as store:
        await store.txn(Txn(success=(Put(b"key", value),)))


async def test_by_time_every_interval_so_many_are_kept(node: NodeProcess) -> None:
    node.environment = {
        **node.environment,
        "DECUBE_SNAPSHOT_INTERVAL": "1s",
        "DECUBE_SNAPSHOT_RETENTION_COUNT": "2",
    }
    node.ensure_started()
    seen: set[str] = set()
    number = 0
    async with asyncio.timeout(READY_SECONDS_MAX):
        while len(seen) < 4:
            number += 1
            await write(node, b"%d" % number)
            now = listed(node)
            seen |= {snapshot["id"] for snapshot in now if snapshot["status"] == "completed"}
            assert {snapshot["kind"] for snapshot in now} <= {"automatic"}
    kept = [snapshot for snapshot in listed(node) if snapshot["status"] == "completed"]
    # A third one is there for a moment, until the oldest has gone.
    assert 2 <= len(kept) <= 3


async def test_none_by_time_when_that_is_disabled(node: NodeProcess) -> None:
    node.environment = {
        **node.environment,
        "DECUBE_SNAPSHOT_ENABLED": "false",
        "DECUBE_SNAPSHOT_INTERVAL": "100ms",
    }
    node.ensure_started()
    await write(node, b"v")
    assert create(node).status_code == 201
    # What must not happen cannot be waited for; these take longer than some intervals.
    for _ in range(100):
        assert [snapshot["kind"] for snapshot in listed(node)] == ["manual"]


async def test_location_and_compression_are_as_set(node: NodeProcess, tmp_path: Path) -> None:
    node.environment = {
        **node.environment,
        "DECUBE_SNAPSHOT_LOCATION": str(tmp_path / "elsewhere"),
        "DECUBE_SNAPSHOT_COMPRESSION": "false",
    }
    node.ensure_started()
    await write(node, b"in plain sight" * 100)
    snapshot = create(node).json()["snapshot"]
    assert (snapshot["compression"], snapshot["encryption"]) == ("none", "none")
    chunk = tmp_path / "elsewhere" / "snapshots" / snapshot["id"] / "chunk-0"
    assert b"in plain sight" * 100 in chunk.read_bytes()
    assert not (node.directory / "data" / "snapshots").exists()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("LOCATION", "ftp://x", "snapshot.location: location"),
        ("LOCATION", "s3://", "neither a folder nor s3://"),
        (
            "ENCRYPTION_RECIPIENTS",
            "age1nobody",
            'snapshot.encryption.recipients: "age1nobody" is no recipient',
        ),
        ("ENCRYPTION_IDENTITY_FILE", "/no/such", "snapshot.encryption.identity_file: cannot read"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(
    node: NodeProcess, key: str, value: str, told: str
) -> None:
    node.environment = {**node.environment, f"DECUBE_SNAPSHOT_{key}": value}
    host, _, port = node.etcd_address.rpartition(":")
    # Who finds it before anything listens does not come to find that this port is taken.
    with socket.create_server((host, int(port))):
        node.start()
        assert node.running.wait(READY_SECONDS_MAX) == 2
    assert told in node.said()
    checked = Cli({f"DECUBE_SNAPSHOT_{key}": value})("config", "check")
    assert (checked.returncode, checked.stdout) == (2, "")
    assert told in checked.stderr


async def test_on_an_etcd_it_is_taken_but_not_put_back_in_place(
    tmp_path: Path, fresh_etcd: Callable[[], str]
) -> None:
    endpoint = fresh_etcd()
    node = NodeProcess(tmp_path, DECUBE_STORE_BACKEND="etcd", DECUBE_STORE_ENDPOINTS=endpoint)
    try:
        # Its own etcd port is not served there: the endpoint is what it tells.
        node.etcd_address = endpoint
        node.ensure_started()
        await write(node, b"v")
        snapshot = create(node).json()["snapshot"]
        assert snapshot["status"] == "completed"
        path = f"http://{node.rest_address}{SNAPSHOTS}/{snapshot['id']}"
        verified = httpx2.post(f"{path}/verify", timeout=WAIT_S_MAX).json()
        assert verified["valid"] is True
        refused = httpx2.post(f"{path}/restore", timeout=WAIT_S_MAX)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert "backend etcd" in error["message"]
        assert "--to-endpoint" in error["details"]["hint"]
    finally:
        node.kill()
