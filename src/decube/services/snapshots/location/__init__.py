"""Where snapshots are kept: a folder, or a part of a bucket.

    /srv/backups                    a folder; ~ is the home directory
    s3://bucket/prefix              S3 and what speaks its protocol
    gs://bucket/prefix              Google Cloud Storage
    az://container/prefix           Azure Blob Storage

Snapshots lie in `snapshots` below that place. One that is called so itself is that folder already,
so that a path which was copied from a shell or a bucket browser means what one thinks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from decube.kit.errors import Invalid
from decube.services.snapshots.location.folder import FolderLocation
from decube.services.snapshots.location.protocol import LocalFiles, Location, StoredObject
from decube.services.snapshots.manifest import is_snapshot_id

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FOLDER",
    "LocalFiles",
    "Location",
    "Place",
    "StoredObject",
    "open_location",
    "parse_place",
]

FOLDER: Final = "snapshots"
SCHEMES: Final = ("s3", "gs", "az")

# Whoever writes it means no folder: `s3://$BUCKET` without a value is not one called `s3:`.
_LIKE_A_URL: Final = re.compile(rf"(?i:{'|'.join(SCHEMES)}):|[A-Za-z][A-Za-z0-9+.-]*:/")
_BUCKET: Final = re.compile(rf"(?:{'|'.join(SCHEMES)})://[^/]")


class Place(NamedTuple):
    """A location as somebody wrote it, and the snapshot in it that was meant, "" for none."""

    location: str
    snapshot_id: str


def parse_place(text: str) -> Place:
    """Read `LOCATION` or `LOCATION/ID`.

    Raises `Invalid` for what looks like a URL and names no bucket; a folder of such a name is
    written with `./` before it.
    """
    bare = text.rstrip("/") if text.strip("/") else text
    head, _, last = bare.rpartition("/")
    snapshot_id = last if is_snapshot_id(last) else ""
    if snapshot_id:
        bare = head or "."
    head, _, last = bare.rpartition("/")
    if last == FOLDER and not head.endswith(":/"):
        bare = head or ("/" if bare.startswith("/") else ".")
    if _LIKE_A_URL.match(bare) and not _BUCKET.match(bare):
        raise Invalid(
            f'location "{text}" is neither a folder nor s3://, gs:// or az:// with a bucket',
            field="location",
        )
    return Place(bare, snapshot_id)


def open_location(text: str, environment: Mapping[str, str]) -> Location:
    """Open a location; nothing is asked of it yet.

    Raises `Invalid` for one that cannot be, or whose library is not installed.
    """
    place, snapshot_id = parse_place(text)
    if snapshot_id:
        raise Invalid(
            f'location "{text}" ends with the id of a snapshot: leave it out', field="location"
        )
    if not _BUCKET.match(place):
        return FolderLocation(Path(place).expanduser().absolute())
    parts = urlsplit(place)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise Invalid(
            f"a location has scheme, bucket and prefix only ({parts.scheme}://bucket/prefix): "
            "endpoint, region and credentials come from the environment",
            field="location",
        )
    from decube.services.snapshots.location.providers import open_bucket  # noqa: PLC0415 - heavy

    return open_bucket(parts.scheme, parts.netloc, parts.path.strip("/"), environment)
