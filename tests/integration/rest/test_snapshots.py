"""Snapshots over REST, of a store in memory, in a folder."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api import ANY_PORT, WAIT_S_MAX, rest_api
from tests.support.snapshots import noise

from decube.api.rest import RestOptions
from decube.services.snapshots.container import packed_bytes
from decube.services.snapshots.manifest import decode_manifest
from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2
    from tests.support.api import RestApi

SNAPSHOTS = "/api/v1/snapshots"
ABSENT = "snap-20260131T120000000Z-1f2e3d4c"
TAR = {"Content-Type": "application/x-tar"}


async def created(api: RestApi, **body: object) -> dict[str, Any]:
    answer = await api.client.post(SNAPSHOTS, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["success"] is True
    snapshot: dict[str, Any] = answer.json()["snapshot"]
    return snapshot


def refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    return error


async def test_the_originals_request_is_answered_in_its_shape(api: RestApi) -> None:
    pod = await api.client.post("/api/v1/pods", json={"name": "web"})
    metadata = {"created_by": "admin", "purpose": "weekly-backup"}
    snapshot = await created(api, name="backup-2023-12-01", metadata=metadata)
    assert snapshot["id"].startswith("snap-")
    assert snapshot["name"] == "backup-2023-12-01"
    assert snapshot["status"] == "completed"
    assert snapshot["metadata"] == metadata
    assert snapshot["etcd_revision"] == pod.json()["pod"]["resource_version"]
    assert snapshot["size_bytes"] > 0
    assert len(snapshot["checksum"]) == 64
    found = await api.client.get(f"{SNAPSHOTS}/{snapshot['id']}")
    assert found.json() == {"snapshot": snapshot, "found": True}
    listed = (await api.client.get(SNAPSHOTS)).json()
    assert listed == {"snapshots": [snapshot], "count": 1, "continue": "", "unreadable": 0}


async def test_a_body_is_not_needed(api: RestApi) -> None:
    answer = await api.client.post(SNAPSHOTS)
    assert answer.status_code == 201
    assert answer.json()["snapshot"]["name"].startswith("snapshot-")


async def test_without_waiting_it_is_accepted_and_completes(api: RestApi) -> None:
    answer = await api.client.post(f"{SNAPSHOTS}?wait=false", json={"name": "later"})
    assert answer.status_code == 202
    snapshot = answer.json()["snapshot"]
    assert snapshot["status"] == "creating"
    path = f"{SNAPSHOTS}/{snapshot['id']}"
    async with asyncio.timeout(WAIT_S_MAX):
        while (await api.client.get(path)).json()["snapshot"]["status"] != "completed":
            pass
    status = (await api.client.get(f"{path}/status")).json()
    assert status == {
        "id": snapshot["id"],
        "phase": "completed",
        "progress": 100.0,
        "chunks_total": 1,
        "chunks_uploaded": 1,
        "estimated_time_remaining": "0s",
        "errors": [],
        "error_code": "",
        "failed_at": "",
    }


async def test_pages_are_followed_newest_first(api: RestApi) -> None:
    ids = [(await created(api, name=str(number)))["id"] for number in range(5)]
    seen, token = [], ""
    while True:
        page = (await api.client.get(f"{SNAPSHOTS}?limit=2&continue={token}")).json()
        assert page["count"] == len(page["snapshots"]) <= 2
        seen += [snapshot["id"] for snapshot in page["snapshots"]]
        token = page["continue"]
        if not token:
            break
    assert seen == ids[::-1]


async def test_what_is_not_there_is_not_found(api: RestApi) -> None:
    for path in ("", "/status", "/archive"):
        refused(await api.client.get(f"{SNAPSHOTS}/{ABSENT}{path}"), 404, "not_found")
        refused(await api.client.get(f"{SNAPSHOTS}/x{path}"), 404, "not_found")
    for path in ("verify", "restore"):
        refused(await api.client.post(f"{SNAPSHOTS}/{ABSENT}/{path}"), 404, "not_found")
    for name in (ABSENT, "x"):
        answer = await api.client.delete(f"{SNAPSHOTS}/{name}")
        assert answer.json() == {"deleted": False}


async def test_deleting_deletes(api: RestApi) -> None:
    path = f"{SNAPSHOTS}/{(await created(api))['id']}"
    assert (await api.client.delete(path)).json() == {"deleted": True}
    refused(await api.client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x" * 254}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"metadata": {"-": "v"}}, "metadata"),
    ],
)
async def test_what_it_cannot_be_called_is_refused(
    api: RestApi, body: dict[str, object], field: str
) -> None:
    error = refused(await api.client.post(SNAPSHOTS, json=body), 400, "invalid")
    assert error["details"]["field"] == field
    refused(await api.client.get(f"{SNAPSHOTS}?continue=x"), 400, "invalid")
    refused(await api.client.get(f"{SNAPSHOTS}?limit=1001"), 400, "invalid")


async def test_verifying_tells_what_was_checked(api: RestApi) -> None:
    snapshot = await created(api)
    answer = await api.client.post(f"{SNAPSHOTS}/{snapshot['id']}/verify")
    assert answer.json() == {
        "id": snapshot["id"],
        "valid": True,
        "chunks_checked": 1,
        "bytes_checked": snapshot["stored_bytes"],
        "image_checked": True,
        "errors": [],
    }


async def test_an_archive_is_a_tar_that_can_be_brought_back(api: RestApi) -> None:
    snapshot = await created(api, name="to be moved")
    path = f"{SNAPSHOTS}/{snapshot['id']}"
    archive = await api.client.get(f"{path}/archive")
    assert archive.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        names = tar.getnames()
        manifest = tar.extractfile(names[0])
        assert manifest is not None
        read = decode_manifest(snapshot["id"], manifest.read())
    assert names == [f"{snapshot['id']}/manifest.json", f"{snapshot['id']}/chunk-0"]
    assert packed_bytes(read) == len(archive.content)

    refused(
        await api.client.put(f"{path}/archive", content=archive.content, headers=TAR),
        409,
        "already_exists",
    )
    await api.client.delete(path)
    answer = await api.client.put(f"{path}/archive", content=archive.content, headers=TAR)
    assert answer.status_code == 201
    assert answer.json()["snapshot"] == snapshot
    assert (await api.client.post(f"{path}/verify")).json()["valid"] is True


async def test_the_head_of_an_archive_is_had_without_it(api: RestApi) -> None:
    path = f"{SNAPSHOTS}/{(await created(api))['id']}/archive"
    head, whole = await api.client.head(path), await api.client.get(path)
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.content == b""


async def test_an_archive_may_be_larger_than_other_bodies_and_take_longer() -> None:
    async with rest_api(RestOptions(listen=ANY_PORT, timeout_s=1.0)) as api:
        for number in range(3):
            put = Put(b"large-%d" % number, noise(1 << 20, number))
            await api.store.txn(Txn(success=(put,)))
        path = f"{SNAPSHOTS}/{(await created(api))['id']}"
        archive = (await api.client.get(f"{path}/archive")).content
        assert len(archive) > 3 << 20
        await api.client.delete(path)

        async def dripping() -> AsyncIterator[bytes]:
            for start in range(0, len(archive), 1 << 18):
                await asyncio.sleep(0.15)  # in all longer than any other request may take
                yield archive[start : start + (1 << 18)]

        headers = {**TAR, "Content-Length": str(len(archive))}
        answer = await api.client.put(f"{path}/archive", content=dripping(), headers=headers)
        assert answer.status_code == 201, answer.text


async def test_an_archive_that_stalls_is_timed_out_and_leaves_nothing() -> None:
    async with rest_api(RestOptions(listen=ANY_PORT, timeout_s=0.5)) as api:
        name = (await created(api))["id"]
        path = f"{SNAPSHOTS}/{name}"
        archive = (await api.client.get(f"{path}/archive")).content
        await api.client.delete(path)
        reader, writer = await asyncio.open_connection(api.address.host, api.address.port)
        head = f"PUT {path}/archive HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Type: application/x-tar\r\nContent-Length: {len(archive)}\r\n\r\n"
        writer.write(head.encode() + archive[:-2000])
        async with asyncio.timeout(WAIT_S_MAX):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert (await api.client.get(SNAPSHOTS)).json()["count"] == 0


async def test_a_damaged_archive_is_refused_and_leaves_nothing(api: RestApi) -> None:
    snapshot = await created(api)
    path = f"{SNAPSHOTS}/{snapshot['id']}"
    whole = (await api.client.get(f"{path}/archive")).content
    await api.client.delete(path)
    flipped = bytearray(whole)
    flipped[-1024 - 512] ^= 1
    for content, status, code in (
        (bytes(flipped), 422, "damaged"),
        (whole[:-2000], 400, "invalid"),
        (b"", 400, "invalid"),
        (b"no archive" * 100, 400, "invalid"),
        (json.dumps(snapshot).encode(), 400, "invalid"),
    ):
        answer = await api.client.put(f"{path}/archive", content=content, headers=TAR)
        refused(answer, status, code)
        refused(await api.client.get(path), 404, "not_found")
    answer = await api.client.put(f"{SNAPSHOTS}/{ABSENT}/archive", content=whole, headers=TAR)
    refused(answer, 400, "invalid")
    refused(await api.client.put(f"{path}/archive", content=whole), 415, "unsupported_media_type")
    assert (await api.client.get(SNAPSHOTS)).json()["count"] == 0


async def test_they_are_counted(api: RestApi) -> None:
    await created(api)
    metrics = (await api.client.get("/metrics")).text
    assert 'decube_snapshots_total{result="completed"} 1.0' in metrics
    assert "decube_snapshot_created_total 1.0" in metrics
