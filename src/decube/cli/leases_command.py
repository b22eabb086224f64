"""A command in a process group of its own, which a signal reaches as a whole.

If this process is killed the command is killed with it: nobody would renew its lease. Where there
is a terminal the command gets it, so that it can read from it and Ctrl-C goes to the command.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from decube.cli.failures import NOT_EXECUTABLE, NOT_FOUND
from decube.kit.errors import DecubeError, system_reason

_PR_SET_PDEATHSIG: Final = 1


class CannotRun(DecubeError):
    """The command cannot be started; `exit_code` is what a shell says then."""

    code = "cannot_run"

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def check_is_there(name: str) -> None:
    """Raise `CannotRun` for what cannot be run, before anything is done for it."""
    if shutil.which(name) is None:
        if os.sep in name and Path(name).exists():
            raise CannotRun(f"cannot run {name}: permission denied", NOT_EXECUTABLE)
        raise CannotRun(f"{name}: there is no such command", NOT_FOUND)


class Command:
    """A running command. To be started while the process has one thread."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - whoever types it may run it
                arguments,
                env={**os.environ, **environment},
                process_group=0,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - there is one thread
            )
        except FileNotFoundError as error:
            raise CannotRun(f"{arguments[0]}: there is no such command", NOT_FOUND) from error
        except OSError as error:
            reason = system_reason(error)
            raise CannotRun(f"cannot run {arguments[0]}: {reason}", NOT_EXECUTABLE) from error
        self._terminal = _foreground_terminal()
        if self._terminal is not None:
            _hand(self._terminal, self._process.pid)
            self.send(signal.SIGCONT)  # it may have asked for the terminal too early

    def send(self, number: int) -> None:
        """Send a signal to the whole group; there being nobody left is fine."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """Wait for its end; return its exit code, 128 and the signal's number if that ended it."""
        code = self._process.wait()
        return 128 - code if code < 0 else code

    def give_back_terminal(self) -> None:
        """Take the terminal again, for the shell."""
        if self._terminal is not None:
            _hand(self._terminal, os.getpgrp())


def _die_with_parent() -> Callable[[], object] | None:
    """Return what the new process does to be killed when this one ends, where that is known."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _hand(terminal: int, group: int) -> None:
    with suppress(OSError):  # the group has ended, or the terminal is closed
        os.tcsetpgrp(terminal, group)


def _foreground_terminal() -> int | None:
    """Return the terminal on standard input if it is this process group's."""
    try:
        terminal = sys.stdin.fileno()
        if not os.isatty(terminal) or os.tcgetpgrp(terminal) != os.getpgrp():
            return None
    except (OSError, ValueError):
        return None
    # Whoever is not in the foreground any more is stopped for handing the terminal on.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    return terminal
