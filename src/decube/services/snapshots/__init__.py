"""Snapshots of the store: taken while it works, kept in a location, verified, and put back.

    ports       what is needed of a store          manifest    what a snapshot says of itself
    location/   where snapshots are kept           catalogue   which there are in a location
    writing     an image to chunks, and `reading` back; `chunks` and `encryption` are their form
    creation    one snapshot, from start to end    schedule    those that are taken by time
    service     what the APIs call; its `readings` and `activity`; `container` for archives

docs/design/0008-one-image-for-everything.md says what an image is, docs/snapshot-format.md what
lies in a location.
"""

from __future__ import annotations

from decube.services.snapshots.catalogue import Catalogue
from decube.services.snapshots.dependencies import SnapshotDependencies, SnapshotOptions
from decube.services.snapshots.service import (
    PAGE_LIMIT_DEFAULT,
    PAGE_LIMIT_MAX,
    Download,
    SnapshotDraft,
    SnapshotPage,
    SnapshotService,
)

__all__ = [
    "PAGE_LIMIT_DEFAULT",
    "PAGE_LIMIT_MAX",
    "Catalogue",
    "Download",
    "SnapshotDependencies",
    "SnapshotDraft",
    "SnapshotOptions",
    "SnapshotPage",
    "SnapshotService",
]
