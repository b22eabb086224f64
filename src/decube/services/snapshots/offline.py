"""Restoring where no node runs: a snapshot of a location, read by who types the command."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from decube.kit.errors import NotFound
from decube.services.snapshots.catalogue import Catalogue
from decube.services.snapshots.encryption import Identities
from decube.services.snapshots.location import open_location, parse_place
from decube.services.snapshots.reading import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from pathlib import Path

    from decube.services.snapshots.manifest import Manifest


class OpenSnapshot(NamedTuple):
    """A snapshot that is being read."""

    manifest: Manifest
    image: AsyncGenerator[bytes, None]


async def find_snapshot(
    place: str, wanted: Callable[[Manifest], bool] = lambda _: True
) -> tuple[Catalogue, Manifest]:
    """Find the snapshot that a place names, or the newest in it that is wanted.

    Raises `NotFound`, and what the location raises.
    """
    location, snapshot_id = parse_place(place)
    catalogue = Catalogue(open_location(location, os.environ))
    if snapshot_id:
        return catalogue, await catalogue.get(snapshot_id)
    seen = 0
    async for manifest in catalogue.all():
        if wanted(manifest):
            return catalogue, manifest
        seen += 1
    found = f"{seen} snapshots, but none of them is early enough" if seen else "no snapshot"
    raise NotFound(f"there is {found} in {catalogue.location.url}")


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
