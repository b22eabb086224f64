"""What this node does with snapshots at the moment, or did last: in memory, and bounded.

An activity is the creation, verification or restore of one snapshot. It knows how far it is, and in
the end how it went; of those that have ended the last few are kept, so that whoever asks why one
failed is told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from decube.kit.durations import Duration
from decube.kit.errors import Closed, Conflict, Damaged, DecubeError, Internal
from decube.model.snapshot import SnapshotProgress, SnapshotView
from decube.model.timestamps import rfc3339_micro
from decube.store.types import CancelledTooLate

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from decube.kit.clock import Clock
    from decube.services.snapshots.manifest import Kind, Manifest

ENDED_MAX: Final = 32
_ALL: Final = 100.0
# An estimate never says that it is done.
_ALMOST: Final = 99.0
# Before that the speed says nothing.
_ESTIMATE_FROM: Final = 2.0

Phase = Literal["creating", "verifying", "restoring"]
Outcome = Literal["running", "completed", "failed"]


@dataclass(eq=False)
class Activity:
    """One of them, a context for as long as it runs. `bytes_total` is an estimate of creations."""

    id: str
    phase: Phase
    clock: Clock
    name: str = ""
    kind: Kind = "manual"
    metadata: dict[str, str] = field(default_factory=dict)
    created_at: str = ""
    bytes_total: int = 0
    chunks_total: int = 0
    bytes_done: int = 0
    chunks_done: int = 0
    outcome: Outcome = "running"
    error: str = ""
    error_code: str = ""
    failed_at: str = ""

    def __post_init__(self) -> None:
        self._began_s = self.clock.monotonic_s()

    def advance(self, bytes_done: int, chunks_done: int) -> None:
        """Note how far it is."""
        self.bytes_done = bytes_done
        self.chunks_done = chunks_done
        self.chunks_total = max(self.chunks_total, chunks_done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Note how it went, unless that is known."""
        if error is not None and not isinstance(error, CancelledTooLate):
            self.fail(error)
        elif self.outcome == "running":
            self.outcome = "completed"

    def fail(self, error: BaseException) -> None:
        """Note that it failed, and why."""
        self.outcome, self.failed_at = "failed", rfc3339_micro(self.clock.now())
        if isinstance(error, DecubeError):
            self.error, self.error_code = error.message, error.code
        elif isinstance(error, asyncio.CancelledError):
            self.error, self.error_code = "the node stopped meanwhile", Closed.code
        else:
            self.error, self.error_code = f"a defect of ours: {error!r}", Internal.code

    @property
    def elapsed_s(self) -> float:
        """How long it runs."""
        return self.clock.monotonic_s() - self._began_s

    @property
    def percent(self) -> float:
        """How far it is."""
        if self.outcome == "completed":
            return _ALL
        share = self.bytes_done / self.bytes_total if self.bytes_total else 0.0
        return min(round(share * _ALL, 1), _ALMOST)

    def progress(self) -> SnapshotProgress:
        """Tell it in the API's shape."""
        left = ""
        if self.outcome == "running" and self.percent >= _ESTIMATE_FROM:
            left_s = self.elapsed_s * (_ALL - self.percent) / self.percent
            left = str(Duration.of_seconds(round(left_s)))
        return SnapshotProgress(
            id=self.id,
            phase=self.phase if self.outcome == "running" else self.outcome,
            progress=self.percent,
            chunks_total=self.chunks_total,
            chunks_uploaded=self.chunks_done,
            estimated_time_remaining=left,
            errors=[self.error] if self.error else [],
            error_code=self.error_code,
            failed_at=self.failed_at,
        )

    def view(self) -> SnapshotView:
        """Tell a snapshot that is not there yet, or never came to be."""
        return SnapshotView(
            id=self.id,
            name=self.name,
            status="failed" if self.outcome == "failed" else "creating",
            created_at=self.created_at,
            metadata=self.metadata,
            kind=self.kind,
            progress=self.percent,
            error=self.error,
        )


class Activities:
    """Those of a node, the newest last."""

    def __init__(self) -> None:
        self._all: list[Activity] = []

    def add(self, activity: Activity) -> Activity:
        """Note one that begins; forget old ones that have ended."""
        ended = [known for known in self._all if known.outcome != "running"]
        for known in ended[: max(0, len(ended) - ENDED_MAX + 1)]:
            self._all.remove(known)
        self._all.append(activity)
        return activity

    def running(self, *phases: Phase) -> list[Activity]:
        """Return those that run."""
        return [
            known for known in self._all if known.outcome == "running" and known.phase in phases
        ]

    def refuse_while(self, phase: Phase) -> None:
        """Raise `Conflict`, naming the snapshot, while one is in a phase."""
        for activity in self.running(phase):
            raise Conflict(
                f"{phase} snapshot {activity.id} is under way: wait for its end", id=activity.id
            )

    def newest(self, snapshot_id: str) -> Activity | None:
        """Return the last one with a snapshot: one that runs, if there is any."""
        found = [known for known in self._all if known.id == snapshot_id]
        found.sort(key=lambda known: known.outcome == "running")
        return found[-1] if found else None

    def unfinished_creations(self) -> list[Activity]:
        """Return the creations that are no snapshots, or not yet."""
        return [
            known
            for known in self._all
            if known.phase == "creating" and known.outcome != "completed"
        ]

    def drop(self, activity: Activity) -> None:
        """Forget one of which there is nothing to tell."""
        self._all.remove(activity)

    def read_whole(self, snapshot_id: str) -> None:
        """Forget what had failed with a snapshot that is there, and sound."""
        for known in tuple(self._all):
            if known.id == snapshot_id and known.outcome == "failed" and known.phase != "creating":
                self._all.remove(known)

    def read_unchecked(self, activity: Activity) -> None:
        """Forget one that ended well without checking hashes, if damage is known: it holds."""
        if any(k.id == activity.id and k.error_code == Damaged.code for k in self._all):
            self.drop(activity)

    def forget(self, snapshot_id: str) -> bool:
        """Forget what has ended with a snapshot; tell whether a failed creation was among it."""
        ended = [a for a in self._all if a.id == snapshot_id and a.outcome != "running"]
        for known in ended:
            self._all.remove(known)
        return any(a.phase == "creating" and a.outcome == "failed" for a in ended)


def view_of(manifest: Manifest) -> SnapshotView:
    """Tell a snapshot that is there."""
    return SnapshotView(
        id=manifest.id,
        name=manifest.name,
        status="completed",
        created_at=manifest.created_at,
        size_bytes=manifest.size_bytes,
        etcd_revision=manifest.etcd_revision,
        checksum=manifest.checksum,
        metadata=manifest.metadata,
        kind=manifest.kind,
        stored_bytes=manifest.stored_bytes,
        chunk_count=len(manifest.chunks),
        compression=manifest.compression,
        encryption=manifest.encryption,
        format_version=manifest.format_version,
        tool_version=manifest.tool_version,
        cluster_id=manifest.cluster_id,
        progress=_ALL,
    )


def progress_of(manifest: Manifest) -> SnapshotProgress:
    """Tell that a snapshot is there."""
    return SnapshotProgress(
        id=manifest.id,
        phase="completed",
        progress=_ALL,
        chunks_total=len(manifest.chunks),
        chunks_uploaded=len(manifest.chunks),
        estimated_time_remaining="0s",
        errors=[],
    )
