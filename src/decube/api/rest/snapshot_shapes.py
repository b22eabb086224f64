"""The bodies of requests and answers about snapshots."""

from __future__ import annotations

from typing import Literal

import msgspec

from decube.model.snapshot import SnapshotView


class SnapshotCreation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A snapshot to create; without a name it is called after the time."""

    name: str = ""
    metadata: dict[str, str] = {}


class SnapshotCreated(msgspec.Struct, frozen=True):
    """A snapshot as it was created, or as it is being created."""

    snapshot: SnapshotView
    success: Literal[True] = True


class SnapshotFound(msgspec.Struct, frozen=True):
    """A snapshot that was asked for."""

    snapshot: SnapshotView
    found: Literal[True] = True


class SnapshotList(msgspec.Struct, frozen=True):
    """A page of snapshots, the newest first.

    `count` is that of this page. `continue` is the token of the next page, "" on the last one.
    `unreadable` snapshots, whose manifest is damaged or newer than this version, were left out.
    """

    snapshots: list[SnapshotView]
    count: int
    continue_token: str = msgspec.field(name="continue", default="")
    unreadable: int = 0


class SnapshotRestore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to restore. Without the hashes only an image's own checks are made."""

    skip_hash_check: bool = False


class SnapshotRestored(msgspec.Struct, frozen=True):
    """A snapshot was restored, at this revision of the store."""

    restored_revision: str
    success: Literal[True] = True
    error: str = ""
