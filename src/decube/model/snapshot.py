"""Snapshots in the flat shape in which the REST and gRPC APIs show them, and what may be asked."""

from __future__ import annotations

from typing import Literal

import msgspec

from decube.kit.errors import Invalid
from decube.model.labels import check_annotations

NAME_LENGTH_MAX = 253

SnapshotStatus = Literal["creating", "completed", "failed"]
SnapshotKind = Literal["manual", "automatic"]


class SnapshotView(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot. Sizes, revision and checksum are empty until it is completed.

    `size_bytes` and `checksum` (SHA-256 in hex) are those of the plain image, `stored_bytes` what
    it takes in its location. `progress` is in percent, and an estimate while it is created.
    """

    id: str
    name: str
    status: SnapshotStatus
    created_at: str
    size_bytes: int = 0
    etcd_revision: str = ""
    checksum: str = ""
    metadata: dict[str, str] = {}
    kind: SnapshotKind = "manual"
    stored_bytes: int = 0
    chunk_count: int = 0
    compression: str = "none"
    encryption: str = "none"
    format_version: int = 0
    tool_version: str = ""
    cluster_id: str = ""
    progress: float = 0.0
    error: str = ""


class SnapshotProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far something with a snapshot has come on the node that is asked.

    `phase` is creating, verifying or restoring while that runs; then failed when it was not
    created, or not restored, or found damaged, and completed as soon as all of it was read again.
    `progress` is in percent; `estimated_time_remaining` is a duration such as `1m30s`, "" while it
    cannot be told. `error_code` is the code of what failed, as an answer to a request would have
    it, and `failed_at` when that was.
    """

    id: str
    phase: Literal["creating", "verifying", "restoring", "completed", "failed"]
    progress: float
    chunks_total: int
    chunks_uploaded: int
    estimated_time_remaining: str
    errors: list[str]
    error_code: str = ""
    failed_at: str = ""


class SnapshotVerification(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading a snapshot again.

    `image_checked` is false without the key to an encrypted one, of which only what is stored is
    checked, and where a chunk is damaged, so that there is no image. `errors` has a line for
    everything that is damaged.
    """

    id: str
    valid: bool
    chunks_checked: int
    bytes_checked: int
    image_checked: bool
    errors: list[str]


def check_draft(name: str, metadata: dict[str, str]) -> None:
    """Raise `Invalid` for a name or metadata that a snapshot cannot have."""
    if len(name) > NAME_LENGTH_MAX:
        raise Invalid(
            f"name has {len(name)} characters, at most {NAME_LENGTH_MAX} are allowed", field="name"
        )
    if not name.isprintable():
        raise Invalid("name has characters that cannot be printed", field="name")
    check_annotations(metadata, field="metadata")
