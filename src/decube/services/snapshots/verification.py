"""Reads a snapshot again, and tells everything in it that is not as its manifest says."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from decube.kit.errors import Damaged, Denied
from decube.model.snapshot import SnapshotVerification

if TYPE_CHECKING:
    from collections.abc import Callable

    from decube.services.snapshots.manifest import Manifest
    from decube.services.snapshots.reading import SnapshotReader


class Verified(NamedTuple):
    """What came of it, and the first thing for which it is not valid; without a key, no damage."""

    result: SnapshotVerification
    wrong: Damaged | Denied | None


def unreadable(snapshot_id: str, error: Damaged) -> SnapshotVerification:
    """Tell that already the manifest is damaged, so that there is nothing else to check."""
    return SnapshotVerification(
        id=snapshot_id,
        valid=False,
        chunks_checked=0,
        bytes_checked=0,
        image_checked=False,
        errors=[error.message],
    )


async def verify(
    manifest: Manifest, reader: SnapshotReader, on_progress: Callable[[int, int], None]
) -> Verified:
    """Check every chunk, then the whole image if all of them are sound and the key is there."""
    errors: list[Damaged | Denied] = []
    whole = hashlib.sha256()
    checked_bytes = plain_bytes = 0
    for number, entry in enumerate(manifest.chunks, start=1):
        try:
            if reader.can_decode:
                async with aclosing(reader.plain(entry, check_hash=True)) as plain:
                    async for piece in plain:
                        whole.update(piece)
            else:
                await reader.check_stored(entry)
        except (Damaged, Denied) as error:
            errors.append(error)
        checked_bytes += entry.stored_bytes
        plain_bytes += entry.plain_bytes
        on_progress(plain_bytes, number)
    # Of a chunk that is damaged there is no image to be checked.
    image_checked = reader.can_decode and not errors
    if image_checked and whole.hexdigest() != manifest.checksum:
        errors.append(
            Damaged(f"the SHA-256 of the image of snapshot {manifest.id} is not the manifest's")
        )
    result = SnapshotVerification(
        id=manifest.id,
        valid=not errors,
        chunks_checked=len(manifest.chunks),
        bytes_checked=checked_bytes,
        image_checked=image_checked,
        errors=[error.message for error in errors],
    )
    damage = [error for error in errors if isinstance(error, Damaged)]
    return Verified(result, next(iter(damage or errors), None))
