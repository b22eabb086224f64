"""What a snapshot says of itself: the object that is written last, and makes it one.

A snapshot is the objects `snapshots/<id>/chunk-<n>` and `snapshots/<id>/manifest.json`. The
manifest names every chunk with its size and hash, so what no manifest names does not exist. It is
JSON for people as well: fields are only ever added, and a change that older versions could not read
raises `format_version`. docs/snapshot-format.md describes it field by field.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from decube.kit.errors import Damaged, Invalid, Unimplemented
from decube.model.names import shown

if TYPE_CHECKING:
    from decube.kit.ids import Ids

FORMAT: Final = "decube-snapshot"
FORMAT_VERSION: Final = 1
MANIFEST_NAME: Final = "manifest.json"
# 64 MiB of entries name 30 TB of chunks.
MANIFEST_BYTES_MAX: Final = 64 << 20
CHUNK_BYTES_MAX: Final = 64 << 20
ID_EXAMPLE: Final = "snap-20260131T120000000Z-1f2e3d4c"

_REVISION: Final = re.compile(r"[0-9]{1,19}")
_ID: Final = re.compile(r"snap-\d{8}T\d{9}Z-[0-9a-f]{8}", re.ASCII)

Kind = Literal["manual", "automatic"]
Compression = Literal["none", "zstd"]
Encryption = Literal["none", "age"]


class ChunkEntry(msgspec.Struct, frozen=True):
    """One chunk: `plain_bytes` of the image, stored as `stored_bytes` with that SHA-256 in hex."""

    name: str
    plain_bytes: int
    stored_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """See docs/snapshot-format.md. `checksum` is the SHA-256 of the whole plain image in hex."""

    format: Literal["decube-snapshot"] = FORMAT
    format_version: int = FORMAT_VERSION
    tool_version: str
    id: str
    name: str
    status: Literal["completed"] = "completed"
    kind: Kind = "manual"
    created_at: str
    etcd_revision: str
    cluster_id: str
    term: int = 0
    size_bytes: int
    stored_bytes: int
    checksum: str
    compression: Compression = "none"
    encryption: Encryption = "none"
    metadata: dict[str, str] = {}
    chunks: tuple[ChunkEntry, ...] = ()


class _Head(msgspec.Struct, frozen=True):
    format: str
    format_version: int


def new_snapshot_id(now: datetime, ids: Ids) -> str:
    """Make an id: they sort by time, to the millisecond, and differ where that is equal."""
    moment = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}"
    return f"snap-{moment}Z-{ids.uid()[-8:]}"


def is_snapshot_id(text: str) -> bool:
    """Tell whether a text has the form of an id; only such texts become parts of keys."""
    return _ID.fullmatch(text) is not None


def check_snapshot_id(text: str) -> str:
    """Return an id. Raises `Invalid` for what cannot be one."""
    if not is_snapshot_id(text):
        raise Invalid(
            f"{shown(text)} is not the id of a snapshot: they look like {ID_EXAMPLE}", field="id"
        )
    return text


def chunk_name(number: int) -> str:
    """Name a chunk by its place."""
    return f"chunk-{number}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest, indented for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode_manifest(snapshot_id: str, content: bytes) -> Manifest:
    """Read the manifest of a snapshot.

    Raises `Damaged` when it is damaged or contradicts itself, `Unimplemented` when a newer version
    wrote it.
    """
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format == FORMAT and head.format_version > FORMAT_VERSION:
            raise Unimplemented(
                f"snapshot {snapshot_id} has format {head.format_version}, this version reads up "
                f"to {FORMAT_VERSION}: use a newer one",
                reason="newer_format",
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"the manifest of snapshot {snapshot_id} is damaged: {error}") from error
    if defect := _defect(manifest, snapshot_id):
        raise Damaged(f"the manifest of snapshot {snapshot_id} is damaged: {defect}")
    return manifest


def _defect(manifest: Manifest, snapshot_id: str) -> str | None:
    """Name the first thing that cannot be."""
    if manifest.id != snapshot_id:
        return f"it is that of {shown(manifest.id)}"
    if not _is_moment(manifest.created_at):
        return f"created_at is {shown(manifest.created_at)}, which is no moment"
    if not _REVISION.fullmatch(manifest.etcd_revision):
        return f"etcd_revision is {shown(manifest.etcd_revision)}, which is none"
    return _chunk_defect(manifest)


def _chunk_defect(manifest: Manifest) -> str | None:
    for number, chunk in enumerate(manifest.chunks):
        if chunk.name != chunk_name(number):
            return f"{shown(chunk.name)} stands where {chunk_name(number)} should"
        if not 0 < chunk.plain_bytes <= CHUNK_BYTES_MAX or chunk.stored_bytes <= 0:
            return f"{chunk.name} has an impossible size"
    if sum(chunk.plain_bytes for chunk in manifest.chunks) != manifest.size_bytes:
        return "its chunks do not add up to size_bytes"
    if sum(chunk.stored_bytes for chunk in manifest.chunks) != manifest.stored_bytes:
        return "its chunks do not add up to stored_bytes"
    return None


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
