"""The operations on snapshots that REST and gRPC offer.

One snapshot is created at a time, and one restored: whoever asks for another meanwhile is refused
(`Conflict`), naming the one that is under way. A creation is a task of this service, and goes on
when nobody waits for it any more; `close` ends it, and removes what it had written.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog

from decube.kit.errors import Closed, Conflict, Damaged, Invalid, NotFound
from decube.model.names import shown
from decube.model.snapshot import SnapshotKind, check_draft
from decube.model.timestamps import rfc3339
from decube.services.snapshots.activity import Activities, Activity, progress_of, view_of
from decube.services.snapshots.container import packed_bytes, unpack
from decube.services.snapshots.creation import Creation
from decube.services.snapshots.manifest import (
    ID_EXAMPLE,
    check_snapshot_id,
    is_snapshot_id,
    new_snapshot_id,
)
from decube.services.snapshots.readings import Readings
from decube.services.snapshots.verification import unreadable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection

    from decube.model.snapshot import SnapshotProgress, SnapshotVerification, SnapshotView
    from decube.services.snapshots.dependencies import SnapshotDependencies, SnapshotOptions
    from decube.store.types import Revision

PAGE_LIMIT_DEFAULT: Final = 100
PAGE_LIMIT_MAX: Final = 1000

_log = structlog.get_logger("decube.snapshots")


class SnapshotDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot to be created; without a name it is called after the time."""

    name: str = ""
    metadata: dict[str, str] = {}
    kind: SnapshotKind = "manual"


class SnapshotPage(NamedTuple):
    """Snapshots, newest first. `continue_token` is "" on the last page."""

    snapshots: list[SnapshotView]
    continue_token: str
    unreadable: int


class Download(NamedTuple):
    """A snapshot as an archive of that length."""

    id: str
    size_bytes: int
    content: AsyncGenerator[bytes, None]


class SnapshotService:
    """Snapshots of one store in one location."""

    def __init__(self, dependencies: SnapshotDependencies, options: SnapshotOptions) -> None:
        self.catalogue = dependencies.catalogue
        self.metrics = dependencies.metrics
        self._clock = dependencies.clock
        self._ids = dependencies.ids
        self._check_role = dependencies.check_role
        self._creation = Creation(
            dependencies.source, dependencies.catalogue, options.form, options.tool_version
        )
        self._activities = Activities()
        self._readings = Readings(dependencies, self._activities, options.identity_file)
        self._tasks: set[asyncio.Task[SnapshotView]] = set()
        self._incoming: set[str] = set()
        self._closed = False

    @property
    def own_ids(self) -> Collection[str]:
        """What this node is writing: not to be swept."""
        creating = {activity.id for activity in self._activities.running("creating")}
        return creating | self._incoming

    def begin(self, draft: SnapshotDraft) -> tuple[SnapshotView, asyncio.Task[SnapshotView]]:
        """Start to create a snapshot. Raises `Invalid`, and `Conflict` while another is created."""
        check_draft(draft.name, draft.metadata)
        if self._closed:
            raise Closed("the node is stopping")
        self._activities.refuse_while("creating")
        now = self._clock.now()
        activity = self._activities.add(
            Activity(
                id=new_snapshot_id(now, self._ids),
                phase="creating",
                clock=self._clock,
                name=draft.name or f"snapshot-{int(now.timestamp())}",
                kind=draft.kind,
                metadata=draft.metadata,
                created_at=rfc3339(now),
            )
        )
        task = asyncio.create_task(self._create(activity), name=f"snapshot-{activity.id}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return activity.view(), task

    async def create(self, draft: SnapshotDraft) -> SnapshotView:
        """Create a snapshot and wait for it; see `begin`. Whoever leaves does not end it."""
        _, task = self.begin(draft)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._closed and task.cancelled():
                raise Closed("the node is stopping") from None
            raise

    async def get(self, snapshot_id: str) -> SnapshotView:
        """Tell a snapshot, also one that is being created here. Raises `NotFound`, `Damaged`."""
        activity = self._activities.newest(_existing_id(snapshot_id))
        unfinished = activity if activity in self._activities.unfinished_creations() else None
        try:
            return view_of(await self.catalogue.get(snapshot_id))
        except NotFound:
            if unfinished is None:
                raise
            return unfinished.view()

    async def list(self, limit: int = 0, continue_token: str = "") -> SnapshotPage:
        """List snapshots, newest first, those that are created or failed here among them."""
        limit = limit or PAGE_LIMIT_DEFAULT
        if not 0 < limit <= PAGE_LIMIT_MAX:
            raise Invalid(f"limit {limit} is not 1 to {PAGE_LIMIT_MAX}", field="limit")
        if continue_token and not is_snapshot_id(continue_token):
            raise Invalid("continue is no token of this list: begin anew", field="continue")
        # Before: one that is completed while the location is read would be in neither.
        unfinished = self._activities.unfinished_creations()
        page = await self.catalogue.page(limit, continue_token)
        views = {manifest.id: view_of(manifest) for manifest in page.manifests}
        for activity in unfinished:
            before = not continue_token or activity.id <= continue_token
            if before and activity.id > page.next_id:
                views.setdefault(activity.id, activity.view())
        ids = sorted(views, reverse=True)
        following = ids[limit] if len(ids) > limit else page.next_id
        return SnapshotPage([views[name] for name in ids[:limit]], following, page.unreadable)

    async def progress(self, snapshot_id: str) -> SnapshotProgress:
        """Tell how far what is done with a snapshot is. Raises `NotFound`."""
        activity = self._activities.newest(_existing_id(snapshot_id))
        if activity is not None and activity.outcome != "completed":
            return activity.progress()
        return progress_of(await self.catalogue.get(snapshot_id))

    async def delete(self, snapshot_id: str) -> bool:
        """Delete a snapshot; tell whether there was one. Raises `Conflict` while it is used."""
        if not is_snapshot_id(snapshot_id):
            return False
        activity = self._activities.newest(snapshot_id)
        if activity is not None and activity.outcome == "running":
            raise Conflict(f"snapshot {snapshot_id} is in use ({activity.phase}): wait for its end")
        if self._readings.is_packing(snapshot_id):
            raise Conflict(f"snapshot {snapshot_id} is in use (downloading): wait for its end")
        forgotten = self._activities.forget(snapshot_id)
        return await self.catalogue.delete(snapshot_id) or forgotten

    async def verify(self, snapshot_id: str) -> SnapshotVerification:
        """Read all of a snapshot again and check every hash. Raises `NotFound` and `Exhausted`."""
        try:
            manifest = await self.catalogue.get(_existing_id(snapshot_id))
        except Damaged as error:
            return unreadable(snapshot_id, error)
        return await self._readings.verify(manifest)

    async def restore(self, snapshot_id: str, *, skip_hash_check: bool = False) -> Revision:
        """Put a snapshot back in place; return the store's new revision.

        Raises `NotFound`, `Invalid` on a store that cannot, `Conflict` while another is restored,
        `Denied` without its key, `NotLeader` on a standby, and `Damaged`: nothing was changed then.
        """
        # A standby with a location of its own has not the primary's snapshots: that there is none
        # would be told of the wrong node.
        self._check_role()
        manifest = await self.catalogue.get(_existing_id(snapshot_id))
        return await self._readings.restore(manifest, check_hashes=not skip_hash_check)

    async def download(self, snapshot_id: str) -> Download:
        """Make an archive of a snapshot. Raises `NotFound` and `Exhausted`."""
        manifest = await self.catalogue.get(_existing_id(snapshot_id))
        return Download(manifest.id, packed_bytes(manifest), self._readings.packed(manifest))

    async def upload(self, snapshot_id: str, archive: AsyncIterator[bytes]) -> SnapshotView:
        """Store the snapshot of an archive; see `container.unpack` for what it raises."""
        check_snapshot_id(snapshot_id)
        return view_of(await unpack(snapshot_id, archive, self.catalogue, self._incoming))

    async def close(self) -> None:
        """End what is being created. Closing twice is fine."""
        self._closed = True
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _create(self, activity: Activity) -> SnapshotView:
        try:
            with activity:
                manifest = await self._creation.run(activity)
        except BaseException:
            self.metrics.failed()
            _log.warning(
                "a snapshot failed", id=activity.id, kind=activity.kind, error=activity.error
            )
            raise
        self.metrics.completed(manifest, self._clock.now().timestamp(), activity.elapsed_s)
        _log.info(
            "snapshot completed",
            id=manifest.id,
            kind=manifest.kind,
            revision=manifest.etcd_revision,
            size_bytes=manifest.size_bytes,
            stored_bytes=manifest.stored_bytes,
            duration_s=round(activity.elapsed_s, 3),
        )
        return view_of(manifest)

    def _ended(self, task: asyncio.Task[SnapshotView]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Told by the log and the activity, also when nobody waits.
            task.exception()


def _existing_id(text: str) -> str:
    """Return an id. Raises `NotFound` for what can be none: there is no such snapshot."""
    if not is_snapshot_id(text):
        raise NotFound(f"there is no snapshot {shown(text)}: ids look like {ID_EXAMPLE}")
    return text
