"""Restoring where no node runs: a snapshot of a location, read by who types the command."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from decube.kit.errors import Closed, Damaged, Invalid, NotFound, Unimplemented
from decube.services.snapshots.catalogue import Catalogue
from decube.services.snapshots.encryption import Identities
from decube.services.snapshots.location import open_location, parse_place
from decube.services.snapshots.location.folder import FolderLocation
from decube.services.snapshots.reading import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from decube.kit.errors import DecubeError
    from decube.services.snapshots.location import Location
    from decube.services.snapshots.manifest import Manifest


class OpenSnapshot(NamedTuple):
    """A snapshot that is being read."""

    manifest: Manifest
    image: AsyncGenerator[bytes, None]


async def find_snapshots(
    place: str, wanted: Callable[[Manifest], bool] | None = None
) -> tuple[Catalogue, list[Manifest]]:
    """Find the snapshot that a place names, else the newest, or all that are wanted, newest first.

    At least one. A newest one that cannot be read is not passed over: what was written since the
    one before it would be missing, and nobody would know. Among those that are `wanted`, each is
    as good as any other, because the log is replayed on top: there it is.

    Raises `Invalid`, `NotFound`, `Damaged`, `Unimplemented` and what the location raises.
    """
    location, snapshot_id = parse_place(place)
    catalogue = Catalogue(open_location(location, os.environ))
    await asyncio.to_thread(_check_is_there, catalogue.location)
    if snapshot_id:
        return catalogue, [await catalogue.get(snapshot_id)]
    if wanted is None:
        return catalogue, [await _newest(catalogue, place)]
    known = await catalogue.page(limit=sys.maxsize)
    found = [manifest for manifest in known.manifests if wanted(manifest)]
    if not found:
        count, unreadable = len(known.manifests), known.unreadable
        what = f"no snapshot early enough among {count}" if count else "no snapshot"
        but = f"; {unreadable} cannot be read" if unreadable else ""
        oldest = _age_of(known.manifests[-1]) if count else ""
        raise NotFound(f"there is {what} in {place}{oldest}{but}")
    return catalogue, found


def _age_of(oldest: Manifest) -> str:
    return f": the oldest, {oldest.id}, is of revision {oldest.etcd_revision}, {oldest.created_at}"


def _check_is_there(location: Location) -> None:
    """Raise `Invalid` for a folder that is not there: it has no snapshots, but that is not why."""
    if isinstance(location, FolderLocation):
        with suppress(OSError):  # that it cannot be looked at is told when it is read
            if not Path(location.url).exists():
                raise Invalid(f"there is no folder {location.url}", field="from")


async def _newest(catalogue: Catalogue, place: str) -> Manifest:
    unreadable: DecubeError | None = None
    for snapshot_id in await catalogue.ids():
        try:
            manifest = await catalogue.get(snapshot_id)
        except NotFound:
            continue  # it was never finished
        except (Damaged, Unimplemented) as error:
            unreadable = unreadable or error
            continue
        if unreadable is None:
            return manifest
        raise _not_passed_over(catalogue, unreadable, snapshot_id) from unreadable
    if unreadable is not None:
        raise _not_passed_over(catalogue, unreadable, None) from unreadable
    raise NotFound(f"there is no snapshot in {place}")


def _not_passed_over(catalogue: Catalogue, error: DecubeError, other: str | None) -> DecubeError:
    """Tell that the newest snapshot cannot be read, and how to restore another one."""
    url = catalogue.location.url
    hint = "no other one there can be read"
    if other is not None:
        hint = f"for another one write its id behind the location: --from {url}/{other}"
    told = type(error)(f"cannot restore the newest snapshot in {url}: {error.message}")
    told.details = {**error.details, "hint": hint}
    return told


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
