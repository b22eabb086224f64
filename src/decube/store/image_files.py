"""Images whose bytes go to files of this machine, or come from them.

The core writes and reads such files by itself, with threads of its own: nothing of them passes
through Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path


class FilePart(NamedTuple):
    """The part of an image that a file got; `last` if nothing follows."""

    size_bytes: int
    sha256: str
    last: bool


@runtime_checkable
class ImageForFiles(Protocol):
    """A `StoreImage` that can be written to files, instead of being iterated."""

    async def write_file(self, path: Path, bytes_max: int) -> FilePart:
        """Write the next bytes to a file that is there. What came last is not synced.

        Raises `OSError`, and what iterating does. Nothing is written when it has been cancelled.
        """
        ...

    async def sha256(self) -> str:
        """Digest all that was written."""
        ...


class ImageFile(Protocol):
    """A file with the next bytes of an image, and who knows what has to be in it."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def size_bytes(self) -> int:
        """How much of it counts."""
        ...

    @property
    def digested(self) -> bool:
        """Whether its SHA-256 is wanted."""
        ...

    def finish(self, size_bytes: int, sha256: str | None) -> None:
        """All of it was taken: raise, if this is not what has to be in it."""
        ...

    def unreadable(self, error: OSError) -> Exception:
        """Tell that the system cannot read it."""
        ...


ImagePiece: TypeAlias = bytes | ImageFile
