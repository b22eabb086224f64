"""One watch on the embedded engine: pulls what is ready, sleeps when there is nothing.

Nothing is queued here: the engine keeps a bounded queue, and lets a watcher whose consumer is slow
fall back to reading history. Only `anext` takes, without a switch between taking and handing out,
so cancelling it loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from decube import _native
from decube.kit.errors import Closed, Compacted, DecubeError
from decube.store.embedded.codec import decode_event
from decube.store.embedded.errors import translate
from decube.store.types import Revision, WatchBatch

if TYPE_CHECKING:
    from typing import Self

    from decube.store.types import WatchRequest

# Reading history for a watcher that is behind happens on the event loop: a slice at a time.
TAKE_BYTES_MAX = 256 * 1024


class EmbeddedWatch:
    """An iterator of batches. Made, woken and closed by the store."""

    def __init__(
        self, native: _native.Watch, request: WatchRequest, progress_interval_s: float
    ) -> None:
        self._native = native
        self._request = request
        self._progress_interval_s = progress_interval_s
        self._batches: deque[WatchBatch] = deque()
        self._failure: DecubeError | None = None
        self._wake = asyncio.Event()
        self._idle = True
        self._timer: asyncio.TimerHandle | None = None
        if request.progress:
            self._schedule_progress()

    @property
    def id(self) -> int:
        """By which the engine names it when it has something."""
        return self._native.id

    def wake(self) -> None:
        """Have the consumer look again."""
        self._wake.set()

    def close(self, failure: DecubeError | None = None) -> None:
        """End the watch; a consumer that still waits gets `failure`."""
        self._failure = failure or Closed("the watch was closed")
        self._batches.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._native.close()
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchBatch:
        while not self._batches:
            if self._failure is not None:
                raise self._failure
            self._wake.clear()
            if self._take():
                # A watcher that is far behind must not keep everybody else from running.
                await asyncio.sleep(0)
            else:
                await self._wake.wait()
        return self._batches.popleft()

    def _take(self) -> bool:
        try:
            items = self._native.take(TAKE_BYTES_MAX)
        except _native.StoreError as error:
            self._failure = translate(error)
            return True
        for item in items:
            self._accept(item)
        return bool(items)

    def _accept(self, item: _native._WatchItem) -> None:
        match item:
            case ("events", events):
                self._idle = False
                whole = tuple([decode_event(event) for event in events])
                self._batches.append(WatchBatch(whole[-1].kv.mod_revision, whole))
            case ("progress", revision):
                self._batches.append(WatchBatch(Revision(revision)))
            case ("compacted", compact_revision):
                self._failure = Compacted(
                    "required revision has been compacted", compact_revision=compact_revision
                )
            case ("closed",):
                self._failure = Closed("the store was closed")
            case ("failed", error):
                self._failure = translate(error)

    def _schedule_progress(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._progress_interval_s, self._ask_for_progress)

    def _ask_for_progress(self) -> None:
        """Ask when nothing came since the last time; events tell the progress themselves."""
        if self._failure is None:
            if self._idle:
                self._native.request_progress()
            self._idle = True
            self._schedule_progress()
