"""What snapshots are given by the composition root, and how they are to be stored and read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from decube.kit.clock import Clock, SystemClock
from decube.kit.ids import Ids, RandomIds
from decube.services.snapshots.chunks import ChunkForm
from decube.services.snapshots.metrics import SnapshotMetrics

if TYPE_CHECKING:
    from decube.services.snapshots.catalogue import Catalogue
    from decube.services.snapshots.ports import CheckRole, ImageSource, Restore


def any_role() -> None:
    """Let the node restore, as one without a part in replication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDependencies:
    """The store, and where snapshots are. `restore` is None where there is none in place.

    `check_role` raises `NotLeader` where another node must restore.
    """

    source: ImageSource
    catalogue: Catalogue
    restore: Restore | None = None
    check_role: CheckRole = any_role
    metrics: SnapshotMetrics = field(default_factory=SnapshotMetrics)
    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=RandomIds)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotOptions:
    """How snapshots are stored and read. `identity_file` is read whenever it is needed."""

    form: ChunkForm = field(default_factory=ChunkForm)
    identity_file: str = ""
    tool_version: str = ""
