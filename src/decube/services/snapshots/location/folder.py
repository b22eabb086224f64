"""A folder of a file system as the location.

An object is a file. It is written under another name, synced, renamed, and its directory synced, so
that a key exists only when its content is durable. It is synced a little at a time: one sync of a
whole chunk would hold up the store's own, behind it on the same disk. Everything is private to this
user: a snapshot holds all that the store does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from decube.kit.errors import DecubeError, Denied, Exhausted, NotFound, Unavailable, system_reason
from decube.kit.ids import RandomIds
from decube.services.snapshots.location.protocol import StoredObject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from decube.kit.ids import Ids

Result = TypeVar("Result")

PARTIAL: Final = ".partial-"
SYNC_BYTES: Final = 8 << 20
RANGE_BYTES: Final = 2 << 20

_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_RANDOM_IDS: Final = RandomIds()


class FolderLocation:
    """A `Location` in a folder, which is made when the first object is written."""

    def __init__(self, root: Path, ids: Ids = _RANDOM_IDS) -> None:
        self._root = root
        self._ids = ids

    @property
    def url(self) -> str:
        """The path."""
        return str(self._root)

    @property
    def range_bytes(self) -> int:
        """So little that a processor still has it at hand when it is hashed and decoded."""
        return RANGE_BYTES

    @property
    def files(self) -> FolderLocation:
        """Itself; see `LocalFiles`."""
        return self

    def path(self, key: str) -> Path:
        """Tell where a file is; see `LocalFiles.path`."""
        return self._root / key

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """Read a part of a file; see `Location.read`."""
        return await self._do("read", key, lambda path: _read(path, offset, length))

    async def write(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Write a file; see `Location.write`."""
        async with self._writing(key) as (_, file):
            await self._fill(key, file, pieces)

    async def fill(self, key: str, fill: Callable[[Path], Awaitable[None]]) -> None:
        """Have a file written; see `LocalFiles.fill`."""
        async with self._writing(key) as (partial, _):
            try:
                await fill(partial)
            except OSError as error:
                raise failure("write", partial, error) from error

    async def list_folders(self, prefix: str) -> Sequence[str]:
        """Name the folders below a prefix; see `Location.list_folders`."""
        return await self._do("list", prefix, _folders)

    async def list_objects(self, prefix: str) -> Sequence[StoredObject]:
        """List the files below a prefix; see `Location.list_objects`."""
        return await self._do("list", prefix, lambda path: _objects(self._root, path))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete files, and their folder once it is empty; see `Location.delete`."""
        for key in keys:
            await self._do("delete", key, _delete)

    @asynccontextmanager
    async def _writing(self, key: str) -> AsyncIterator[tuple[Path, BinaryIO]]:
        """Make a file that gets its name when the block has filled it, and goes if that fails."""
        path = self._root / key
        partial = path.with_name(f"{path.name}{PARTIAL}{self._ids.request_id()}")
        try:
            with ExitStack() as opened:
                file = await self._do("write", key, lambda path: _create(path, partial, opened))
                yield partial, file
                await self._do("write", key, lambda _: _sync(file))
            await self._do("write", key, lambda path: _rename(partial, path))
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise

    async def _fill(self, key: str, file: BinaryIO, pieces: AsyncIterator[bytes]) -> None:
        """Write all pieces, while those before are synced."""
        unsynced = 0
        syncing: asyncio.Future[None] | None = None
        try:
            async for piece in pieces:
                await self._do("write", key, functools.partial(_write, file, piece))
                unsynced += len(piece)
                if unsynced >= SYNC_BYTES:
                    if syncing is not None:
                        await syncing
                    syncing = asyncio.ensure_future(
                        self._do("write", key, lambda _: os.fdatasync(file.fileno()))
                    )
                    unsynced = 0
            if syncing is not None:
                await syncing
        finally:
            if syncing is not None:
                await asyncio.gather(syncing, return_exceptions=True)

    async def _do(self, what: str, key: str, act: Callable[[Path], Result]) -> Result:
        """Do something with a path in a thread; tell what the system refuses.

        A thread cannot be stopped: whoever is cancelled waits for it all the same, so that nothing
        happens to the file after that.
        """
        path = self._root / key
        doing = asyncio.ensure_future(asyncio.to_thread(act, path))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.gather(doing, return_exceptions=True)
            raise
        except OSError as error:
            raise failure(what, path, error) from error


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        parts = []
        while length and (part := os.pread(file.fileno(), length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
    return b"".join(parts)


def _create(path: Path, partial: Path, opened: ExitStack) -> BinaryIO:
    """Open a new file, making the folders above it durably; `opened` closes it."""
    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        except OSError as error:
            raise failure("make the folder", folder, error) from error
        _sync_folder(folder.parent)
    descriptor = os.open(
        partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE
    )
    return opened.enter_context(os.fdopen(descriptor, "wb"))


def _write(file: BinaryIO, piece: bytes, _path: Path) -> None:
    file.write(piece)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rename(partial: Path, path: Path) -> None:
    partial.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folders(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return []


def _objects(root: Path, path: Path) -> list[StoredObject]:
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder) / name
            # One that went meanwhile is not there.
            with contextlib.suppress(FileNotFoundError):
                status = file.stat()
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                key = file.relative_to(root).as_posix()
                found.append(StoredObject(key, status.st_size, modified))
    return found


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    # It goes with the last of its files; until then this refuses.
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def failure(what: str, path: Path, error: OSError) -> DecubeError:
    """Tell what the system refuses; only what is read can be missing."""
    reason = system_reason(error)
    text = f"cannot {what} {path}: {reason}"
    if what == "read" and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"there is no {path}")
    if error.errno in _NO_ROOM:
        return Exhausted(text, reason="no_room", hint="make room, or set another snapshot.location")
    if error.errno in _NOT_ALLOWED:
        return Denied(text, hint="let this user write it, or set another snapshot.location")
    return Unavailable(text)
