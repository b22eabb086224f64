"""Types commands of `decube`, as a user would."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.node import DECUBE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND_SECONDS_MAX = 60


@dataclass
class Cli:
    """Types commands; `environment` chooses the node."""

    environment: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def program() -> Path:
        """Where the command is."""
        return DECUBE

    def __call__(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [DECUBE, *arguments],
            input=typed,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
        )

    def on_a_terminal(self, *arguments: str, typed: str) -> tuple[int, str]:
        """Run a command whose streams are a terminal; return its exit code and all it showed."""
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            process = subprocess.Popen(
                [DECUBE, *arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env={**os.environ, **self.environment},
            )
            os.close(theirs)
            # Reading has no bound of its own: a command that asks on is killed, which ends it.
            patience = threading.Timer(COMMAND_SECONDS_MAX, process.kill)
            patience.start()
            try:
                terminal.write(typed.encode())
                shown = b""
                # A terminal that nobody has open any more tells EIO.
                with suppress(OSError):
                    while piece := terminal.read(4096):
                        shown += piece
                return process.wait(COMMAND_SECONDS_MAX), shown.decode()
            finally:
                patience.cancel()
                process.kill()
                process.wait()

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command that goes on; it ends with the block at the latest."""
        with subprocess.Popen(
            [DECUBE, *arguments],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
