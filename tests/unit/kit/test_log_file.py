"""The log file: rotated by size, pruned by number and age, and never in anybody's way."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from decube.kit.clock import ManualClock
from decube.kit.log_file import LINES_WAITING_MAX, LogFileHandler, RotatedFile, Rotation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY_S = 24 * 60 * 60
LINE = b"x" * 99 + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decube.log"


@pytest.fixture
def handler(path: Path) -> Iterator[Callable[[Rotation], logging.Logger]]:
    handlers = []
    logger = logging.getLogger("a test of log files")
    logger.propagate = False

    def start(rotation: Rotation) -> logging.Logger:
        handlers.append(LogFileHandler(path, rotation))
        logger.addHandler(handlers[-1])
        return logger

    yield start
    for started in handlers:
        logger.removeHandler(started)
        started.close()


def backups(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir() if file != path)


def file_of(logger: logging.Logger) -> LogFileHandler:
    # pytest has handlers of its own there.
    (file,) = (item for item in logger.handlers if isinstance(item, LogFileHandler))
    return file


def advance(clock: ManualClock, duration_s: float) -> None:
    asyncio.run(clock.advance(duration_s))


def test_a_full_file_is_renamed_by_its_moment_and_begun_anew(path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 31, 12, tzinfo=UTC))
    file = RotatedFile(path, Rotation(max_size_bytes=250), clock)
    for _ in range(5):
        file.write(LINE)
    # Twice in one moment: none takes the other's name.
    assert backups(path) == [
        "decube-2026-01-31T12-00-00.000.log",
        "decube-2026-01-31T12-00-00.001.log",
    ]
    assert path.read_bytes() == LINE
    assert all((path.parent / name).read_bytes() == 2 * LINE for name in backups(path))
    file.close()


def test_the_size_counts_on_over_a_restart_and_the_mode_stays(path: Path) -> None:
    path.write_bytes(2 * LINE)
    path.chmod(0o604)
    file = RotatedFile(path, Rotation(max_size_bytes=250))
    file.write(LINE)
    assert len(backups(path)) == 1
    assert path.stat().st_mode & 0o777 == 0o604
    file.close()


def test_rotated_files_go_by_number_and_by_age_and_others_stay(path: Path) -> None:
    others = [path.with_name("decube-notes.log"), path.with_name("other-2026-01-01.log")]
    for other in others:
        other.write_text("kept")
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    rotation = Rotation(max_size_bytes=150, backups_max=3, age_s_max=2 * DAY_S)
    file = RotatedFile(path, rotation, clock)
    file.write(LINE)
    for _ in range(5):
        advance(clock, 60)
        file.write(LINE)
    rotated = [name for name in backups(path) if "2026-01-01T" in name]
    assert [name[18:23] for name in rotated] == ["00-03", "00-04", "00-05"]
    advance(clock, DAY_S)
    file.write(LINE)
    advance(clock, 1.5 * DAY_S)
    file.remove_old()
    rotated = [name for name in backups(path) if "T" in name]
    assert [name[:17] for name in rotated] == ["decube-2026-01-02"]
    assert all(other.exists() for other in others)
    file.close()


@pytest.mark.parametrize("move", [os.unlink, lambda path: path.rename(f"{path}.1")])
def test_a_file_that_is_taken_away_is_opened_anew(path: Path, move: Callable[[Path], None]) -> None:
    file = RotatedFile(path, Rotation())
    file.write(LINE)
    move(path)
    file.write(b"after\n")
    assert path.read_bytes() == b"after\n"
    file.close()


def test_a_file_that_cannot_be_renamed_grows_on(tmp_path: Path) -> None:
    # With the moment in it the name is longer than a file system allows.
    path = tmp_path / f"{'d' * 240}.log"
    file = RotatedFile(path, Rotation(max_size_bytes=150))
    for _ in range(4):
        file.write(LINE)
    assert path.read_bytes() == 4 * LINE
    file.close()


def test_every_line_of_many_threads_is_written_once(
    path: Path, handler: Callable[[Rotation], logging.Logger]
) -> None:
    logger = handler(Rotation(max_size_bytes=4000))

    def say(name: int) -> None:
        for number in range(500):
            logger.warning("%d %d", name, number)

    threads = [threading.Thread(target=say, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file_of(logger).flush()
    files = [path.with_name(name) for name in backups(path)] + [path]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) >= 3
    for name in range(4):
        numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
        assert numbers == list(range(500)), "each thread's lines in order"


def test_lines_that_cannot_be_written_are_counted_and_told_later(
    path: Path, handler: Callable[[Rotation], logging.Logger], capsys: pytest.CaptureFixture[str]
) -> None:
    logger = handler(Rotation())
    path.unlink()
    path.mkdir()
    for number in range(3):
        logger.warning("lost %d", number)
        file_of(logger).flush()
    path.rmdir()
    logger.warning("written")
    file_of(logger).flush()
    assert path.read_text().splitlines() == ["log lines were lost", "written"]
    file = file_of(logger)
    assert file.lines_lost == 3
    assert capsys.readouterr().err.count("cannot write the log file") == 1


def test_who_logs_never_waits_for_the_disk(
    path: Path, handler: Callable[[Rotation], logging.Logger]
) -> None:
    os.mkfifo(path)
    # Nobody reads it for now: its buffer fills, and the thread that writes stands still.
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    logger = handler(Rotation(max_size_bytes=1 << 40))
    file = file_of(logger)
    lines = LINES_WAITING_MAX + 5_000
    for number in range(lines):
        logger.warning("%0100d", number)
    assert file.lines_lost > 0
    os.set_blocking(reader, True)
    lost = file.lines_lost
    read = b""
    while read.count(b"\n") < lines - lost:
        read += os.read(reader, 1 << 16)
    numbers = [int(line) for line in read.splitlines() if line.isdigit()]
    assert numbers == sorted(set(numbers)), "what is written is in order, once"
    os.close(reader)


def test_a_line_that_was_cut_short_does_not_swallow_the_next(path: Path) -> None:
    file = RotatedFile(path, Rotation())
    file._is_mid_line = True
    file.write(json.dumps({"event": "whole"}).encode() + b"\n")
    assert json.loads(path.read_text().splitlines()[-1]) == {"event": "whole"}
    file.close()
