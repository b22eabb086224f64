"""What a lease is on the command line."""

from typing import Final

from decube.cli.nouns import Noun, Object
from decube.cli.rest_client import LEASES
from decube.kit.durations import Duration


def _row(lease: Object) -> tuple[str, ...]:
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


LEASE: Final = Noun(
    name="lease",
    route=LEASES,
    identity="id",
    form="lease-...",
    columns=("ID", "NAME", "HOLDER", "TTL", "EXPIRES", "TOKEN", "METADATA"),
    row=_row,
    keys="/decube/leases/",
)
