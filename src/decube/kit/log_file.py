"""A log file that is rotated: by size, with a bounded number and age of what is kept.

`decube.log` grows to `max_size_bytes`, is renamed to `decube-2026-01-31T12-00-00.000.log` (UTC) and
begun anew; of the renamed ones the newest `backups_max` stay, for `age_s_max` at most (0: no
bound). It is what lumberjack does, by whose names the settings go.

One thread writes, rotates and removes, so that a slow disk delays no caller; lines wait for it in a
queue with a bound. Nothing that goes wrong with the file reaches who logs: lines that cannot be
queued or written are counted, and their number is a line of its own once the file takes lines
again. A file that was moved or removed is opened anew by the next line, and by `reopen`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from decube.kit.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from decube.kit.clock import Clock

LINES_WAITING_MAX: Final = 10_000
LINES_WRITTEN_TOGETHER_MAX: Final = 1_000
CLOSE_S_MAX: Final = 2.0
_MODE: Final = 0o640
_STAMP: Final = "%Y-%m-%dT%H-%M-%S"
_STAMP_PATTERN: Final = r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})"
_SYSTEM_CLOCK: Final = SystemClock()


class Rotation:
    """When a file is rotated, and which rotated files stay. 0 backups or age: no bound."""

    def __init__(
        self, *, max_size_bytes: int = 100 << 20, backups_max: int = 0, age_s_max: float = 0
    ) -> None:
        self.max_size_bytes = max_size_bytes
        self.backups_max = backups_max
        self.age_s_max = age_s_max


class RotatedFile:
    """The file. Used by one thread; every method may raise `OSError`, and can then be repeated."""

    def __init__(self, path: Path, rotation: Rotation, clock: Clock = _SYSTEM_CLOCK) -> None:
        self._path = path.absolute()
        self._rotation = rotation
        self._clock = clock
        self._backup_name = re.compile(
            re.escape(f"{path.stem}-") + _STAMP_PATTERN + re.escape(path.suffix)
        )
        self._descriptor = -1
        self._size = 0
        self._is_mid_line = False
        self._open()

    def write(self, lines: bytes) -> None:
        """Append whole lines, after rotating if they do not fit."""
        if not self._is_in_place():
            self.reopen()
        elif self._size and self._size + len(lines) > self._rotation.max_size_bytes:
            self._rotate()
        if self._is_mid_line:
            lines = b"\n" + lines
        while lines:
            written = os.write(self._descriptor, lines)
            self._size += written
            self._is_mid_line = not lines[:written].endswith(b"\n")
            lines = lines[written:]

    def reopen(self) -> None:
        """Let go of the file, which may have been moved, and open what has its name now."""
        self.close()
        self._open()

    def remove_old(self) -> None:
        """Remove rotated files beyond their number or age."""
        for backup in self._plan_removals():
            backup.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, _MODE)
        self._size = os.fstat(self._descriptor).st_size
        self._is_mid_line = False

    def _is_in_place(self) -> bool:
        if self._descriptor < 0:
            return False
        try:
            named = os.stat(self._path)  # noqa: PTH116 - one call a write
        except FileNotFoundError:
            return False
        opened = os.fstat(self._descriptor)
        return (named.st_ino, named.st_dev) == (opened.st_ino, opened.st_dev)

    def _rotate(self) -> None:
        """Rename the file and begin a new one; where that fails, go on with the old one."""
        mode = os.fstat(self._descriptor).st_mode & 0o777
        try:
            self._path.rename(self._free_backup())
        except OSError:
            # Tried again when as much more was written.
            self._size = 0
            return
        self.reopen()
        os.fchmod(self._descriptor, mode)
        with contextlib.suppress(OSError):
            self.remove_old()

    def _free_backup(self) -> Path:
        moment = self._clock.now().astimezone(UTC)
        while True:
            stamp = f"{moment.strftime(_STAMP)}.{moment.microsecond // 1000:03}"
            backup = self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")
            if not backup.exists():
                return backup
            moment += timedelta(milliseconds=1)

    def _plan_removals(self) -> list[Path]:
        backups = []
        for file in self._path.parent.iterdir():
            if (match := self._backup_name.fullmatch(file.name)) is not None:
                with contextlib.suppress(ValueError):
                    text = match[1][:-4]
                    backups.append((datetime.strptime(text, _STAMP).replace(tzinfo=UTC), file))
        backups.sort(key=lambda backup: backup[1].name, reverse=True)
        kept = self._rotation.backups_max or len(backups)
        removed = [file for _, file in backups[kept:]]
        if age_s_max := self._rotation.age_s_max:
            oldest = self._clock.now() - timedelta(seconds=age_s_max)
            removed += [file for moment, file in backups[:kept] if moment < oldest]
        return removed


class LogFileHandler(logging.Handler):
    """Writes records to a `RotatedFile`, from a thread of its own. Raises `OSError` when made."""

    def __init__(self, path: Path, rotation: Rotation, clock: Clock = _SYSTEM_CLOCK) -> None:
        # Before anything else: `logging` keeps a list of all handlers, also of one half made.
        self._file = RotatedFile(path, rotation, clock)
        super().__init__()
        self._path = path
        # Lines to write, calls to make between them, and None for the end.
        self._waiting: queue.Queue[str | Callable[[], None] | None] = queue.Queue(LINES_WAITING_MAX)
        self._not_queued = 0
        self._not_written = 0
        self._told_lost = 0
        self._is_failing = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="decube-log", daemon=True)
        self._thread.start()

    @property
    def lines_lost(self) -> int:
        """How many lines the file never got."""
        return self._not_queued + self._not_written

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line; where there is no room for it, count it as lost."""
        try:
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self._not_queued += 1
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is its logger's defect
            self.handleError(record)

    def reopen(self) -> None:
        """Open the file anew, which somebody moved away: what SIGHUP asks for."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(self._file.reopen)

    def flush(self) -> None:
        """Wait until what was logged before is written, for a bounded time."""
        written = threading.Event()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(written.set)
            if self._thread.is_alive():
                written.wait(CLOSE_S_MAX)

    def close(self) -> None:
        """Write what waits, for a bounded time, and let go of the file. Twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=CLOSE_S_MAX)
                self._thread.join(CLOSE_S_MAX)
        super().close()

    def _work(self) -> None:
        """Write what comes, in order, until closed: the thread's body."""
        self._attempt(self._file.remove_old)
        item: str | Callable[[], None] | None = ""
        while item is not None:
            item = self._waiting.get()
            lines = []
            while isinstance(item, str):
                lines.append(item)
                if len(lines) == LINES_WRITTEN_TOGETHER_MAX or self._waiting.empty():
                    break
                item = self._waiting.get()
            self._write(lines)
            if callable(item):
                self._attempt(item)
        self._file.close()

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        lost = self.lines_lost
        told = [self.format(_lost_record(lost - self._told_lost))] if lost > self._told_lost else []
        text = "".join(f"{line}\n" for line in (*told, *lines))
        try:
            self._file.write(text.encode(errors="backslashreplace"))
        except OSError as error:
            self._not_written += len(lines)
            self._tell_failure(error)
        else:
            self._told_lost, self._is_failing = lost, False

    def _tell_failure(self, error: OSError) -> None:
        """Say it once, where it may be seen."""
        if not self._is_failing:
            self._is_failing = True
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"decube: cannot write the log file {self._path}: {error}\n")

    def _attempt(self, call: Callable[[], None]) -> None:
        # The next line finds out whether the file can be written.
        with contextlib.suppress(OSError):
            call()


def log_files() -> list[LogFileHandler]:
    """Return the files that the log of this process goes to."""
    handlers = logging.getLogger().handlers
    return [handler for handler in handlers if isinstance(handler, LogFileHandler)]


def _lost_record(lines: int) -> logging.LogRecord:
    record = logging.LogRecord(
        "decube.logging", logging.WARNING, "", 0, "log lines were lost", None, None
    )
    record.fields = {"lines": lines}
    return record
