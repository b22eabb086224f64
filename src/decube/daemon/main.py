"""`decube up`: runs a node from the command line until a signal, or until a part of it fails.

The first SIGTERM or SIGINT drains: listeners close, requests under way end within
`node.shutdown_timeout`, the exit code is 0. The second ends the process at once. SIGHUP opens the
log file anew; on a terminal, which is gone then, it drains.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvloop

from decube.daemon import data_directory
from decube.daemon.node import run_node
from decube.daemon.service_manager import notify
from decube.kit.errors import DecubeError, Internal
from decube.kit.log_file import log_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from decube.config.load import Loaded

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(loaded: Loaded) -> int:
    """Run a node and return the exit code. Raises `DecubeError` when it cannot start or go on."""
    path = data_directory.choose(loaded.settings.node.data_dir, os.environ)
    with (
        data_directory.DataDirectory(path) as directory,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_run_until_signal(loaded, directory))
    return 0


async def _run_until_signal(loaded: Loaded, directory: data_directory.DataDirectory) -> None:
    stop = asyncio.Event()
    ready = asyncio.Event()
    node = asyncio.create_task(run_node(loaded, directory, ready, stop), name="node")

    def on_signal(number: int) -> None:
        if stop.is_set():
            # Nothing acknowledged is lost: the log was synced before.
            logging.shutdown()
            sys.stdout.flush()
            os._exit(128 + number)
        notify("STOPPING=1")
        stop.set()
        if not ready.is_set():
            node.cancel()

    handlers: dict[signal.Signals, Callable[[], None]]
    handlers = {number: functools.partial(on_signal, number) for number in _SIGNALS}
    on_terminal = sys.stdout.isatty()
    handlers[signal.SIGHUP] = handlers[signal.SIGTERM] if on_terminal else _reopen_logs
    with _handled(handlers):
        try:
            await node
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
        except BaseExceptionGroup as group:
            raise _cause(group) from group


@contextlib.contextmanager
def _handled(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)


def _reopen_logs() -> None:
    for file in log_files():
        file.reopen()


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure of the task that failed first; a defect becomes `Internal`."""
    first = group.exceptions[0]
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, DecubeError):
        return first
    return Internal(f"a part of the node failed: {first!r}")
