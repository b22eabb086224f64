"""Hands what the Rust core has to say to Python's log, in batches, on the event loop.

The core queues its events and never waits; when the queue overflows the newest are dropped, and
how many is itself told.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from decube import _native
from decube.store.embedded.errors import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    # wall time in seconds since the epoch, level, target, event, fields
    Sink = Callable[[float, str, str, str, Mapping[str, object]], None]

EVENTS_MAX = 10_000
TARGET = "decube_python::logs"


class CoreLogs:
    """Feeds a sink until closed. One in a process: the core has one place for its events."""

    def __init__(self, queue: _native.LogQueue, sink: Sink) -> None:
        self._queue = queue
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._descriptor = queue.fileno()
        self._loop.add_reader(self._descriptor, self.drain)

    @classmethod
    def open(cls, level: str, sink: Sink) -> Self:
        """Start with events of `level` (`error`, `warn`, `info`, `debug`) and above.

        `decube.kit.logging.forward` is such a sink. Raises `Invalid` for another level, and when
        somebody in this process collects the events already.
        """
        try:
            return cls(_native.LogQueue.open(level, EVENTS_MAX), sink)
        except _native.StoreError as error:
            raise translate(error) from None

    def drain(self) -> None:
        """Hand over what is queued."""
        events, dropped = self._queue.take()
        for wall_s, level, target, message, fields in events:
            self._sink(wall_s, level, target, message, fields)
        if dropped:
            wall_s = events[-1][0]
            self._sink(wall_s, "warn", TARGET, "log events were dropped", {"dropped": dropped})

    def close(self) -> None:
        """Hand over the last events and stop listening."""
        self.drain()
        self._loop.remove_reader(self._descriptor)
