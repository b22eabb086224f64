"""How leases are printed."""

from collections.abc import Sequence
from typing import Any

from decube.cli.output import OutputFormat, print_line, print_object, print_table
from decube.kit.durations import Duration

Lease = dict[str, Any]

_COLUMNS = ("ID", "NAME", "HOLDER", "TTL", "EXPIRES", "TOKEN", "METADATA")


def print_leases(leases: Sequence[Lease], output: OutputFormat) -> None:
    """Print leases as a table, or their ids."""
    if output == "name":
        for lease in leases:
            print_line(f"lease/{lease['id']}")
        return
    print_table(_COLUMNS, [_row(lease) for lease in leases])


def print_lease(lease: Lease, output: OutputFormat) -> None:
    """Print one lease."""
    if output in ("json", "yaml"):
        print_object(lease, output)
    else:
        print_leases([lease], output)


def _row(lease: Lease) -> tuple[str, ...]:
    metadata = ",".join(f"{key}={value}" for key, value in sorted(lease["metadata"].items()))
    return (
        lease["id"],
        lease["name"] or "-",
        lease["holder"],
        Duration.of_seconds(lease["ttl_seconds"]).short,
        lease["expires_at"],
        str(lease["fencing_token"]),
        metadata or "-",
    )
