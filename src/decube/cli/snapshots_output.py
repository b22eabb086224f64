"""What a snapshot is on the command line."""

from typing import Final

from decube.cli.nouns import Noun, Object
from decube.cli.rest_client import SNAPSHOTS

_KIB: Final = 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def size_text(size_bytes: int) -> str:
    """Write a size for people: `1.5 MiB`."""
    size = float(size_bytes)
    for unit in _UNITS:
        if size < _KIB or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIB
    raise AssertionError


def _row(snapshot: Object) -> tuple[str, ...]:
    return (
        snapshot["id"],
        snapshot["name"],
        snapshot["status"],
        snapshot["kind"],
        snapshot["created_at"],
        snapshot["etcd_revision"] or "-",
        size_text(snapshot["size_bytes"]) if snapshot["size_bytes"] else "-",
        size_text(snapshot["stored_bytes"]) if snapshot["stored_bytes"] else "-",
    )


SNAPSHOT: Final = Noun(
    name="snapshot",
    route=SNAPSHOTS,
    identity="id",
    form="snap-...",
    columns=("ID", "NAME", "STATUS", "KIND", "CREATED", "REVISION", "SIZE", "STORED"),
    row=_row,
)
