"""Where the REST API has snapshots, by the ids that people type."""

from typing import Final
from urllib.parse import quote

from decube.kit.errors import Invalid

SNAPSHOTS: Final = "/api/v1/snapshots"


def bare_id(snapshot: str) -> str:
    """Return a snapshot's id as typed, or as `-o name` prints it."""
    bare = snapshot.removeprefix("snapshot/")
    if not bare or "/" in bare:
        raise Invalid(
            f'"{snapshot}" is not the id of a snapshot: write snap-... or snapshot/snap-...',
            field="snapshot",
        )
    return bare


def snapshot_path(snapshot: str) -> str:
    """Return the route of a snapshot."""
    return f"{SNAPSHOTS}/{quote(bare_id(snapshot), safe='')}"
