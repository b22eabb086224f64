"""The routes of snapshots: `/api/v1/snapshots`, and what can be done with one below its id."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from litestar import delete, get, post, put
from litestar.params import RawBody
from litestar.types import ASGIApp, Scope

from decube.api.rest.answers import json_answer
from decube.api.rest.bodies import BodyReader
from decube.api.rest.errors import Problem
from decube.api.rest.options import allow
from decube.api.rest.protocol import break_off
from decube.api.rest.queries import read_boolean, read_count, read_query
from decube.api.rest.shapes import Deleted
from decube.api.rest.snapshot_shapes import (
    SnapshotCreated,
    SnapshotCreation,
    SnapshotFound,
    SnapshotList,
    SnapshotRestore,
    SnapshotRestored,
)
from decube.kit.errors import DecubeError, Unavailable
from decube.services.snapshots import SnapshotDraft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Receive, Send

    from decube.services.snapshots import Download, SnapshotService

LIST_PATH = "/api/v1/snapshots"
SNAPSHOT_PATH = "/api/v1/snapshots/{id:str}"
ARCHIVE_PATH = "/api/v1/snapshots/{id:str}/archive"
LIST_PARAMETERS = ("limit", "continue")
CREATE_PARAMETERS = ("wait",)
STREAMED_SUFFIX = b"/archive"
ARCHIVE_TYPES = ("application/octet-stream", "application/x-tar")

_OK, _CREATED, _ACCEPTED, _UNSUPPORTED_MEDIA_TYPE = 200, 201, 202, 415
_creations = BodyReader(SnapshotCreation)
_restores = BodyReader(SnapshotRestore)


class SnapshotRoutes:
    """Handlers over the snapshot service."""

    def __init__(self, snapshots: SnapshotService) -> None:
        self._snapshots = snapshots

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return what the application routes to."""
        return [
            # Before the others, for each of which the framework would make its own.
            allow(LIST_PATH, "GET", "POST"),
            allow(SNAPSHOT_PATH, "GET", "DELETE"),
            allow(ARCHIVE_PATH, "GET", "PUT"),
            get(LIST_PATH)(self.list_snapshots),
            post(LIST_PATH)(self.create_snapshot),
            get(SNAPSHOT_PATH)(self.get_snapshot),
            delete(SNAPSHOT_PATH, status_code=_OK)(self.delete_snapshot),
            get(f"{SNAPSHOT_PATH}/status")(self.get_status),
            post(f"{SNAPSHOT_PATH}/verify", status_code=_OK)(self.verify_snapshot),
            post(f"{SNAPSHOT_PATH}/restore", status_code=_OK)(self.restore_snapshot),
            get(ARCHIVE_PATH)(self.get_archive),
            put(ARCHIVE_PATH, status_code=_CREATED)(self.put_archive),
        ]

    async def list_snapshots(self, scope: Scope) -> ASGIApp:
        """Read a page of snapshots."""
        parameters = read_query(scope, LIST_PARAMETERS)
        page = await self._snapshots.list(
            read_count(parameters, "limit"), parameters.get("continue", "")
        )
        snapshots = SnapshotList(
            page.snapshots, len(page.snapshots), page.continue_token, page.unreadable
        )
        return json_answer(_OK, snapshots)

    async def create_snapshot(self, scope: Scope, body: RawBody) -> ASGIApp:
        """Create a snapshot, and wait for it unless `wait=false`."""
        parameters = read_query(scope, CREATE_PARAMETERS)
        creation = _creations.read(scope, body) if body else SnapshotCreation()
        draft = SnapshotDraft(name=creation.name, metadata=creation.metadata)
        if "wait" in parameters and not read_boolean(parameters, "wait"):
            snapshot, _ = self._snapshots.begin(draft)
            return json_answer(_ACCEPTED, SnapshotCreated(snapshot))
        return json_answer(_CREATED, SnapshotCreated(await self._snapshots.create(draft)))

    async def get_snapshot(self, scope: Scope) -> ASGIApp:
        """Read a snapshot."""
        read_query(scope, ())
        return json_answer(_OK, SnapshotFound(await self._snapshots.get(_id(scope))))

    async def delete_snapshot(self, scope: Scope) -> ASGIApp:
        """Delete a snapshot."""
        read_query(scope, ())
        return json_answer(_OK, Deleted(await self._snapshots.delete(_id(scope))))

    async def get_status(self, scope: Scope) -> ASGIApp:
        """Tell how far what is done with a snapshot is."""
        read_query(scope, ())
        return json_answer(_OK, await self._snapshots.progress(_id(scope)))

    async def verify_snapshot(self, scope: Scope) -> ASGIApp:
        """Read a snapshot again and check every hash."""
        read_query(scope, ())
        return json_answer(_OK, await self._snapshots.verify(_id(scope)))

    async def restore_snapshot(self, scope: Scope, body: RawBody) -> ASGIApp:
        """Put a snapshot back in place; without a body with all checks."""
        read_query(scope, ())
        restore = _restores.read(scope, body) if body else SnapshotRestore()
        revision = await self._snapshots.restore(
            _id(scope), skip_hash_check=restore.skip_hash_check
        )
        return json_answer(_OK, SnapshotRestored(str(revision)))

    async def get_archive(self, scope: Scope) -> ASGIApp:
        """Stream a snapshot as a tar archive."""
        read_query(scope, ())
        return _ArchiveAnswer(await self._snapshots.download(_id(scope)))

    async def put_archive(self, scope: Scope) -> ASGIApp:
        """Store the snapshot of an archive."""
        read_query(scope, ())
        _check_archive_type(scope)
        return _ArchiveReader(self._snapshots)


class _ArchiveAnswer:
    """Streams an archive, until the client leaves.

    What fails after the status was sent breaks the connection off; `status` tells why.
    """

    def __init__(self, download: Download) -> None:
        self._download = download
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_wait_until_gone(receive), name="archive-client-gone")
        try:
            await self._stream(send, gone)
        except DecubeError:
            if not self._has_begun:
                raise
            break_off(scope)
            await gone
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def _stream(self, send: Send, gone: asyncio.Task[None]) -> None:
        download = self._download
        name = f'attachment; filename="{download.id}.tar"'.encode()
        headers = [
            (b"content-type", b"application/x-tar"),
            (b"content-length", b"%d" % download.size_bytes),
            (b"content-disposition", name),
        ]
        async with aclosing(download.content) as pieces:
            # What cannot even begin is told as an error.
            first = await anext(pieces)
            self._has_begun = True
            await send({"type": "http.response.start", "status": _OK, "headers": headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for piece in pieces:
                if gone.done():
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _ArchiveReader:
    """Stores an archive while it comes, whatever its size."""

    def __init__(self, snapshots: SnapshotService) -> None:
        self._snapshots = snapshots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        snapshot_id = _id(scope)
        snapshot = await self._snapshots.upload(snapshot_id, _body(receive))
        await json_answer(_CREATED, SnapshotCreated(snapshot))(scope, receive, send)


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unavailable("the client left in the middle of the archive")
        if message["type"] == "http.request":
            yield message["body"]
            if not message.get("more_body"):
                return


def _check_archive_type(scope: Scope) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type" and value.decode("latin-1").lower() in ARCHIVE_TYPES:
            return
    raise Problem(
        _UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        f"the content-type of an archive is {' or '.join(ARCHIVE_TYPES)}",
    )


def _id(scope: Scope) -> str:
    snapshot_id: str = scope["path_params"]["id"]
    return snapshot_id
