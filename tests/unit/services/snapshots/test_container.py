"""Archives that nobody of ours made."""

from __future__ import annotations

import asyncio
import tarfile
from typing import TYPE_CHECKING

import msgspec
import pytest

from decube.kit.errors import Damaged, Invalid
from decube.services.snapshots.container import unpack
from decube.services.snapshots.manifest import decode_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ID = "snap-20260131T120000000Z-1f2e3d4c"


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_a_member_of_negative_size_is_refused() -> None:
    info = tarfile.TarInfo(f"{ID}/manifest.json")
    info.size = -5
    header = info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(Invalid, match="no archive"):
        # The catalogue is not reached.
        await asyncio.wait_for(unpack(ID, pieces(header), None, set()), 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [("created_at", "x"), ("created_at", "2026-01-31T12:00:00"), ("etcd_revision", "soon")],
)
def test_a_manifest_that_would_mislead_the_schedule_is_damaged(field: str, value: str) -> None:
    manifest = {
        "format": "decube-snapshot",
        "format_version": 1,
        "id": ID,
        "name": "n",
        "kind": "automatic",
        "created_at": "2026-01-31T12:00:00Z",
        "etcd_revision": "7",
        "tool_version": "t",
        "cluster_id": "aa",
        "size_bytes": 0,
        "stored_bytes": 0,
        "checksum": "",
        "status": "completed",
    }
    assert decode_manifest(ID, msgspec.json.encode(manifest)).id == ID
    with pytest.raises(Damaged, match=field):
        decode_manifest(ID, msgspec.json.encode({**manifest, field: value}))
