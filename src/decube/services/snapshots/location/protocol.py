"""What a place for snapshots can do: a few operations on objects by key.

Keys are paths of plain names joined by `/`. Every operation is bounded in time where that is
possible, and raises `Unavailable` (try again), `Denied`, `Unauthenticated`, `Exhausted` (no room)
or `NotFound` with a text that names the place. `tests/integration/snapshots/test_locations.py`
holds every kind of location to this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime
    from pathlib import Path


class StoredObject(NamedTuple):
    """An object as a listing tells it."""

    key: str
    size_bytes: int
    modified_at: datetime


class LocalFiles(Protocol):
    """A location whose objects are files, which the core reads and writes by itself."""

    def path(self, key: str) -> Path:
        """Tell where an object lies, or would."""
        ...

    async def fill(self, key: str, fill: Callable[[Path], Awaitable[None]]) -> None:
        """Write an object like `Location.write`: `fill` writes the file that becomes it."""
        ...


class Location(Protocol):
    """A folder, or a part of a bucket. Used on one event loop; safe for concurrent calls."""

    @property
    def url(self) -> str:
        """How people write it; holds no secret."""
        ...

    @property
    def range_bytes(self) -> int:
        """How much is best read at once of an object that is read in order."""
        ...

    @property
    def files(self) -> LocalFiles | None:
        """What can be done besides where objects are files of this machine; None elsewhere."""
        ...

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """Read a part of an object; shorter where the object ends. Raises `NotFound`."""
        ...

    async def write(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Write an object whole and durably, or not at all: nobody ever reads a part of it.

        An error of `pieces` is passed on, and leaves nothing behind that is read.
        """
        ...

    async def list_folders(self, prefix: str) -> Sequence[str]:
        """Name what lies directly below a prefix and has objects in it, in no order."""
        ...

    async def list_objects(self, prefix: str) -> Sequence[StoredObject]:
        """List all objects below a prefix, unfinished ones among them where they can be seen."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; that one is not there is no error."""
        ...
