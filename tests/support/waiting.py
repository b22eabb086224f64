"""How tests wait for what others do: for a level, with a bound that only a failure reaches."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# For a machine that many share; half of what a test may take, so that this tells what was awaited.
WAIT_S_MAX: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that another process or thread does."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(_LOOK_AGAIN_S)  # noqa: TID251 - between two looks at another process


def pause(pid: int) -> None:
    """Stop a process by SIGSTOP: its threads do so one by one, and the last may still answer."""
    os.kill(pid, signal.SIGSTOP)

    def have_stopped() -> bool:
        try:
            stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
        except FileNotFoundError:  # one ended meanwhile
            return False
        return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)

    wait_until(have_stopped, f"all threads of process {pid} have stopped")
