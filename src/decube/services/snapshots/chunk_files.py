"""Chunks that lie in files of this machine as parts of the image: the store reads them itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from decube.kit.errors import Damaged, NotFound
from decube.services.snapshots.location.folder import failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from decube.services.snapshots.manifest import ChunkEntry


@dataclass(frozen=True, slots=True)
class ChunkFile:
    """An `ImageFile`. Every error names the chunk as `what`."""

    what: str
    entry: ChunkEntry
    path: Path
    digested: bool
    on_read: Callable[[], None]

    @property
    def size_bytes(self) -> int:
        """What the manifest says."""
        return self.entry.stored_bytes

    def finish(self, size_bytes: int, sha256: str | None) -> None:
        """Raise `Damaged` for what the manifest says otherwise; else tell that it was read."""
        if missing := self.entry.stored_bytes - size_bytes:
            raise Damaged(f"{self.what} is damaged: it is {missing} bytes short")
        if sha256 is not None and sha256 != self.entry.sha256:
            raise Damaged(f"{self.what} is damaged: its SHA-256 is not the manifest's")
        if size_bytes != self.entry.plain_bytes:
            raise Damaged(f"{self.what} is damaged: it is not as long as the manifest says")
        self.on_read()

    def unreadable(self, error: OSError) -> Exception:
        """Tell it as the location does; but what is not there was there."""
        told = failure("read", self.path, error)
        if isinstance(told, NotFound):
            return gone(self.what)
        return told


def gone(what: str) -> Damaged:
    """Tell that a chunk is missing."""
    return Damaged(f"{what} is not there: it was deleted, or never copied")
