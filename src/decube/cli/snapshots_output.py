"""How snapshots are printed."""

from collections.abc import Sequence
from typing import Any, Final

from decube.cli.output import OutputFormat, print_line, print_object, print_table

Snapshot = dict[str, Any]

_COLUMNS: Final = ("ID", "NAME", "STATUS", "KIND", "CREATED", "REVISION", "SIZE", "STORED")
_KIB: Final = 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def print_snapshots(snapshots: Sequence[Snapshot], output: OutputFormat) -> None:
    """Print snapshots as a table, or their ids."""
    if output == "name":
        for snapshot in snapshots:
            print_line(f"snapshot/{snapshot['id']}")
        return
    print_table(_COLUMNS, [_row(snapshot) for snapshot in snapshots])


def print_snapshot(snapshot: Snapshot, output: OutputFormat) -> None:
    """Print one snapshot."""
    if output in ("json", "yaml"):
        print_object(snapshot, output)
    else:
        print_snapshots([snapshot], output)


def size_text(size_bytes: int) -> str:
    """Write a size for people: `1.5 MiB`."""
    size = float(size_bytes)
    for unit in _UNITS:
        if size < _KIB or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIB
    raise AssertionError


def _row(snapshot: Snapshot) -> tuple[str, ...]:
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
