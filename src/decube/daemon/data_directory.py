"""The data directory: which one it is, that it can be written, and that it is ours alone.

In it, beside the store's own files:

* `decube.lock`: locked (flock) as long as the node runs, and holding its pid. The lock goes with
  the process, however it ends; the file stays.
* `node.json`: pid and bound addresses of the running node, written when it is ready and removed
  when it stops. After `kill -9` it is stale: its pid tells.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from decube.daemon.exits import ExitCode, StartFailure
from decube.kit.errors import system_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

SYSTEM_DIRECTORY: Final = Path("/var/lib/decube")
LOCK_FILE: Final = "decube.lock"
NODE_FILE: Final = "node.json"

_PRIVATE: Final = 0o700
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_CHOOSE_ANOTHER: Final = "choose another by --data-dir or node.data_dir"


def choose(configured: str, environment: Mapping[str, str]) -> Path:
    """Return the directory to use: the configured one, or the first default that is writable."""
    if configured:
        return Path(configured).expanduser().absolute()
    if _is_writable(SYSTEM_DIRECTORY):
        return SYSTEM_DIRECTORY
    state = environment.get("XDG_STATE_HOME", "")
    # The specification wants relative paths ignored.
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "decube"


class DataDirectory:
    """A data directory that is locked for this process while the context lasts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Make it if need be, and lock it. Raises `StartFailure`."""
        try:
            self.path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self.path, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise in_use(self.path, holder) from None
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(lock)
            raise unusable(self.path, error) from error
        self._lock = lock
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the node's facts away and let the directory go."""
        if self._lock is not None:
            (self.path / NODE_FILE).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def publish(self, facts: Mapping[str, object]) -> None:
        """Write `node.json` in one step: a reader sees all of it or none."""
        whole = self.path / NODE_FILE
        partial = whole.with_suffix(".partial")
        try:
            partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            partial.replace(whole)
        except OSError as error:
            raise unusable(self.path, error) from error


def in_use(path: Path | str, pid: object) -> StartFailure:
    """Say that another node has the directory."""
    return StartFailure(
        f"the data directory {path} is in use by process {pid}",
        ExitCode.DATA_DIRECTORY_IN_USE,
        hint=f"stop that node, or {_CHOOSE_ANOTHER}",
    )


def unusable(path: Path | str, error: OSError) -> StartFailure:
    """Say why the directory cannot be used."""
    reason = system_reason(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "there is a file where a directory should be"
    if error.errno in _NO_ROOM:
        return StartFailure(
            f"no room in the data directory {path}: {reason}",
            ExitCode.DISK_FULL,
            hint=f"make room on that disk, or {_CHOOSE_ANOTHER}",
        )
    return StartFailure(
        f"cannot write the data directory {path}: {reason}",
        ExitCode.DATA_DIRECTORY_NOT_WRITABLE,
        hint=f"let this user write it, or {_CHOOSE_ANOTHER}",
    )


def _is_writable(path: Path) -> bool:
    """Tell whether we may write there, making the directory if its parent lets us."""
    try:
        path.mkdir(mode=_PRIVATE, exist_ok=True)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)
