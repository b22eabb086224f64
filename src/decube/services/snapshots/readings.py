"""What reads whole snapshots: verifying, restoring in place, and making archives of them.

All are bounded in number together, since each keeps the location, and a processor, busy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from decube.kit.errors import Corrupt, Damaged, DecubeError, Exhausted, Invalid, NotFound
from decube.services.snapshots.activity import Activity
from decube.services.snapshots.container import pack
from decube.services.snapshots.encryption import Identities
from decube.services.snapshots.reading import SnapshotReader
from decube.services.snapshots.verification import verify
from decube.store.types import CancelledTooLate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from decube.model.snapshot import SnapshotVerification
    from decube.services.snapshots.activity import Activities, Phase
    from decube.services.snapshots.dependencies import SnapshotDependencies
    from decube.services.snapshots.manifest import Manifest
    from decube.services.snapshots.ports import Restore
    from decube.store.image_files import ImagePiece
    from decube.store.types import Revision

READERS_MAX: Final = 4
_OF_THE_SNAPSHOT: Final = (Damaged.code, NotFound.code)

_log = structlog.get_logger("decube.snapshots")


class Readings:
    """Those of one service. `identity_file` is read whenever it is needed."""

    def __init__(
        self, dependencies: SnapshotDependencies, activities: Activities, identity_file: str
    ) -> None:
        self._catalogue = dependencies.catalogue
        self._restore = dependencies.restore
        self._metrics = dependencies.metrics
        self._clock = dependencies.clock
        self._activities = activities
        self._identity_file = identity_file
        self._readers = 0
        self._packing: Counter[str] = Counter()

    def is_packing(self, snapshot_id: str) -> bool:
        """Tell whether an archive of a snapshot is being made: its chunks are to stay."""
        return self._packing[snapshot_id] > 0

    async def verify(self, manifest: Manifest) -> SnapshotVerification:
        """Check every hash. Raises `Exhausted`."""
        async with self._reading(manifest) as reader:
            with self._checking(manifest) as activity:
                verified = await verify(manifest, reader, activity.advance)
                if verified.wrong is not None:
                    activity.fail(verified.wrong)
                else:
                    self._activities.read_whole(manifest.id)
                return verified.result

    async def restore(self, manifest: Manifest, *, check_hashes: bool) -> Revision:
        """Put a snapshot back in place; see `SnapshotService.restore`."""
        if self._restore is None:
            raise Invalid(
                "a snapshot cannot be restored in place on the backend etcd: others use the store "
                "as well, and etcd cannot swap it",
                reason="backend",
                hint="`decube snapshots restore --to-endpoint URL` fills an empty one",
            )
        self._activities.refuse_while("restoring")
        activity = self._begin(manifest, "restoring")
        try:
            with activity:
                async with (
                    self._reading(manifest) as reader,
                    reader.pieces(
                        check_hashes=check_hashes, on_progress=activity.advance
                    ) as pieces,
                ):
                    revision = await _install(self._restore, manifest, pieces)
        except CancelledTooLate as late:
            self._tell_restored(activity, manifest, late.result, checked=check_hashes)
            raise
        except BaseException:
            self._metrics.restored("failed")
            _log.warning("a snapshot was not restored", id=manifest.id, error=activity.error)
            raise
        self._tell_restored(activity, manifest, revision, checked=check_hashes)
        return revision

    def _tell_restored(
        self, activity: Activity, manifest: Manifest, revision: object, *, checked: bool
    ) -> None:
        self._metrics.restored("completed")
        if checked:
            self._activities.read_whole(manifest.id)
        else:
            self._activities.read_unchecked(activity)
        _log.warning(
            "a snapshot was restored in place",
            id=manifest.id,
            snapshot_revision=manifest.etcd_revision,
            revision=revision,
        )

    async def packed(self, manifest: Manifest) -> AsyncGenerator[bytes, None]:
        """Make an archive. Raises `Exhausted` before it begins, `Damaged`, and `NotFound`."""
        async with (
            self._reading(manifest) as reader,
            self._kept(manifest.id),
            aclosing(pack(manifest, reader)) as archive,
        ):
            try:
                async for piece in archive:
                    yield piece
            except DecubeError as failed:
                error = await self._or_gone(manifest.id, failed)
                _log.warning("a snapshot was not packed", id=manifest.id, error=error.message)
                # An answer that has begun can only break off: whoever gets it finds the reason
                # here, in the snapshot's status.
                with self._checking(manifest):
                    raise error from failed
            self._activities.read_whole(manifest.id)

    @contextmanager
    def _checking(self, manifest: Manifest) -> Iterator[Activity]:
        """Note what is found of a snapshot itself, and nothing of what hinders to look at it."""
        activity = self._begin(manifest, "verifying")
        try:
            with activity:
                yield activity
        finally:
            if activity.outcome == "failed" and activity.error_code not in _OF_THE_SNAPSHOT:
                self._activities.drop(activity)

    @asynccontextmanager
    async def _kept(self, snapshot_id: str) -> AsyncIterator[None]:
        """Have this node delete no snapshot that it is packing."""
        self._packing[snapshot_id] += 1
        try:
            yield
        finally:
            self._packing[snapshot_id] -= 1
            self._packing += Counter()  # forgets those at 0

    async def _or_gone(self, snapshot_id: str, error: DecubeError) -> DecubeError:
        """Tell of a snapshot that another node deleted meanwhile, whose chunks are missing so."""
        if isinstance(error, Damaged):
            with contextlib.suppress(DecubeError):
                if not await self._catalogue.has(snapshot_id):
                    return NotFound(f"there is no snapshot {snapshot_id} any more")
        return error

    def _begin(self, manifest: Manifest, phase: Phase) -> Activity:
        return self._activities.add(
            Activity(
                id=manifest.id,
                phase=phase,
                clock=self._clock,
                bytes_total=manifest.size_bytes,
                chunks_total=len(manifest.chunks),
            )
        )

    @asynccontextmanager
    async def _reading(self, manifest: Manifest) -> AsyncIterator[SnapshotReader]:
        if self._readers >= READERS_MAX:
            raise Exhausted(f"{READERS_MAX} snapshots are being read already: try again later")
        self._readers += 1
        try:
            identities = None
            if manifest.encryption != "none" and self._identity_file:
                identities = await asyncio.to_thread(Identities.load, Path(self._identity_file))
            folder = self._catalogue.folder(manifest.id)
            yield SnapshotReader(self._catalogue.location, folder, manifest, identities=identities)
        finally:
            self._readers -= 1


async def _install(
    restore: Restore, manifest: Manifest, pieces: AsyncIterator[ImagePiece]
) -> Revision:
    """Hand the image to the store, which finds damage that no hash tells of."""
    try:
        return await restore(pieces)
    except Damaged:
        raise
    except Corrupt as error:
        raise Damaged(f"snapshot {manifest.id} is damaged: {error.message}") from error
