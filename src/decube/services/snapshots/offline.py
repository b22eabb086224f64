"""Restoring where no node runs: a snapshot of a location, read by who types the command."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from decube.kit.errors import Closed, NotFound
from decube.services.snapshots.catalogue import Catalogue
from decube.services.snapshots.encryption import Identities
from decube.services.snapshots.location import open_location, parse_place
from decube.services.snapshots.reading import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path

    from decube.services.snapshots.manifest import Manifest


class OpenSnapshot(NamedTuple):
    """A snapshot that is being read."""

    manifest: Manifest
    image: AsyncGenerator[bytes, None]


async def find_snapshots(
    place: str, wanted: Callable[[Manifest], bool] = lambda _: True
) -> tuple[Catalogue, list[Manifest]]:
    """Find the snapshot that a place names, or the wanted ones in it, newest first: at least one.

    Raises `NotFound`, and what the location raises.
    """
    location, snapshot_id = parse_place(place)
    catalogue = Catalogue(open_location(location, os.environ))
    if snapshot_id:
        return catalogue, [await catalogue.get(snapshot_id)]
    known = [manifest async for manifest in catalogue.all()]
    found = [manifest for manifest in known if wanted(manifest)]
    if not found:
        what = f"no snapshot early enough among {len(known)}" if known else "no snapshot"
        raise NotFound(f"there is {what} in {catalogue.location.url}")
    return catalogue, found


@asynccontextmanager
async def open_snapshot(
    catalogue: Catalogue,
    manifest: Manifest,
    identity_file: Path | None,
    on_progress: Callable[[int, int], None],
) -> AsyncIterator[OpenSnapshot]:
    """Read a snapshot's image, all of it checked."""
    identities = None
    if identity_file is not None:
        identities = await asyncio.to_thread(Identities.load, identity_file)
    reader = SnapshotReader(
        catalogue.location, catalogue.folder(manifest.id), manifest, identities=identities
    )
    async with aclosing(reader.image(on_progress=on_progress)) as image:
        yield OpenSnapshot(manifest, image)


@contextmanager
def blocking(pieces: AsyncGenerator[bytes, None]) -> Iterator[Iterator[bytes]]:
    """Let a thread read what the event loop produces, and end it when nobody waits any more."""
    loop = asyncio.get_running_loop()
    given_up = False

    def read() -> Iterator[bytes]:
        while not given_up:
            coming = asyncio.run_coroutine_threadsafe(_next(pieces), loop)
            if (piece := coming.result()) is None:
                return
            yield piece
        raise Closed("the restore was given up")

    try:
        yield read()
    finally:
        given_up = True


async def _next(pieces: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(pieces, None)
