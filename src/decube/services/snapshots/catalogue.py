"""The snapshots of a location: the catalogue is the location itself, and survives the store's loss.

Several nodes may share one. Nothing here is ever changed in place: a snapshot comes into being when
its manifest is written, and ends when that is deleted, before the chunks are. Chunks without a
manifest are either on their way or left over; which, their age tells, and `sweep` goes by that.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from decube.kit.errors import Damaged, DecubeError, NotFound, Unimplemented
from decube.services.snapshots.location import FOLDER
from decube.services.snapshots.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    Manifest,
    check_snapshot_id,
    decode_manifest,
    encode_manifest,
    is_snapshot_id,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from datetime import datetime

    from decube.services.snapshots.location import Location

MANIFESTS_IN_FLIGHT: Final = 8
COMMIT_S_MAX: Final = 30.0

_log = structlog.get_logger("decube.snapshots")


class CataloguePage(NamedTuple):
    """Snapshots, newest first. `next_id` begins the next page, "" on the last one.

    `unreadable` counts those whose manifest is damaged or newer than this version.
    """

    manifests: tuple[Manifest, ...]
    next_id: str = ""
    unreadable: int = 0


class Catalogue:
    """What is in a location."""

    def __init__(self, location: Location) -> None:
        self.location = location

    @staticmethod
    def folder(snapshot_id: str) -> str:
        """Return the prefix of a snapshot's keys."""
        return f"{FOLDER}/{snapshot_id}"

    async def ids(self) -> list[str]:
        """List all ids, newest first, unfinished ones among them."""
        return sorted(
            filter(is_snapshot_id, await self.location.list_folders(FOLDER)), reverse=True
        )

    async def get(self, snapshot_id: str) -> Manifest:
        """Read a manifest. Raises `NotFound`, `Invalid`, `Damaged` and `Unimplemented`."""
        key = self._manifest_key(check_snapshot_id(snapshot_id))
        try:
            content = await self.location.read(key, 0, MANIFEST_BYTES_MAX)
        except NotFound as error:
            raise NotFound(f"there is no snapshot {snapshot_id}", id=snapshot_id) from error
        return decode_manifest(snapshot_id, content)

    async def has(self, snapshot_id: str) -> bool:
        """Tell whether there is a manifest, readable or not."""
        try:
            await self.location.read(self._manifest_key(check_snapshot_id(snapshot_id)), 0, 1)
        except NotFound:
            return False
        return True

    async def page(self, limit: int, first_id: str = "") -> CataloguePage:
        """Read a page of manifests, from `first_id` on."""
        left = [found for found in await self.ids() if not first_id or found <= first_id]
        manifests: list[Manifest] = []
        unreadable = 0
        while left and len(manifests) < limit:
            batch = left[: min(MANIFESTS_IN_FLIGHT, limit - len(manifests))]
            left = left[len(batch) :]
            for found in await asyncio.gather(*map(self._read, batch)):
                if isinstance(found, Manifest):
                    manifests.append(found)
                elif found is not None:
                    unreadable += 1
        return CataloguePage(tuple(manifests), left[0] if left else "", unreadable)

    async def all(self) -> AsyncIterator[Manifest]:
        """Read all manifests, newest first."""
        first_id = ""
        while True:
            page = await self.page(MANIFESTS_IN_FLIGHT, first_id)
            for manifest in page.manifests:
                yield manifest
            if not page.next_id:
                return
            first_id = page.next_id

    async def commit(self, manifest: Manifest) -> None:
        """Write a manifest: from here on the snapshot exists.

        Whoever is cancelled meanwhile waits for the end: to remove the chunks of a manifest that
        comes to be after all would leave a snapshot without them.
        """
        content = encode_manifest(manifest)

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        key = self._manifest_key(manifest.id)
        writing = asyncio.ensure_future(self.location.write(key, pieces()))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_S_MAX):
                    await asyncio.gather(writing, return_exceptions=True)
            raise

    async def delete(self, snapshot_id: str) -> bool:
        """Delete a snapshot; tell whether there was one. A leftover of chunks is not one."""
        if not await self.has(snapshot_id):
            return False
        await self.discard(snapshot_id)
        return True

    async def discard(self, snapshot_id: str) -> None:
        """Delete all objects of a snapshot, its manifest first if it has one."""
        found = await self.location.list_objects(self.folder(snapshot_id))
        manifest_key = self._manifest_key(snapshot_id)
        if any(stored.key == manifest_key for stored in found):
            await self.location.delete([manifest_key])
        chunks = [stored.key for stored in found if stored.key != manifest_key]
        if chunks:
            await self.location.delete(chunks)

    async def sweep(
        self, now: datetime, *, older_than_s: float | None, own: Callable[[], Collection[str]]
    ) -> Sequence[str]:
        """Remove what was begun and never finished; return its ids.

        Spared are the ids that this node writes (`own`), and whatever had an object written within
        `older_than_s`: another node may be writing it. None is where no other node writes.
        """
        swept = []
        for snapshot_id in await self.ids():
            if snapshot_id in own():
                continue
            found = await self.location.list_objects(self.folder(snapshot_id))
            whole = any(stored.key == self._manifest_key(snapshot_id) for stored in found)
            if whole or not found:
                continue
            youngest = max(stored.modified_at for stored in found)
            if older_than_s is not None and youngest > now - timedelta(seconds=older_than_s):
                continue
            if snapshot_id in own():
                continue  # begun while we looked
            await self.location.delete([stored.key for stored in found])
            swept.append(snapshot_id)
        return swept

    async def _read(self, snapshot_id: str) -> Manifest | DecubeError | None:
        """Read a manifest for a list: None for what has none, the error of what is unreadable."""
        try:
            return await self.get(snapshot_id)
        except NotFound:
            return None
        except (Damaged, Unimplemented) as error:
            _log.warning("a snapshot cannot be listed", id=snapshot_id, error=error.message)
            return error

    def _manifest_key(self, snapshot_id: str) -> str:
        return f"{self.folder(snapshot_id)}/{MANIFEST_NAME}"
