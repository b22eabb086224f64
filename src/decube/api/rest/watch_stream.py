"""A watch as the body of an answer: JSON lines, until the client leaves or the server drains.

    {"type":"ADDED","resource_version":"7","pod":{...}}       MODIFIED and DELETED alike
    {"type":"BOOKMARK","resource_version":"9"}                resume from 9
    {"type":"ERROR","error":{"code":"compacted",...}}         the last line

A watch without `resource_version` begins with the present pods as ADDED and one BOOKMARK; only from
there on can it be resumed. Lines of one chunk belong to whole revisions. When nothing happens, a
BOOKMARK comes every `bookmark_interval_s`, which also keeps proxies from closing the connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog

from decube.api.rest.answers import NDJSON
from decube.api.rest.errors import ErrorDetail, error_detail
from decube.api.rest.shapes import BookmarkLine, PodChangeLine
from decube.kit.errors import DecubeError, Internal
from decube.model.pod import Pod, view_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from litestar.types import Receive, Scope, Send

    from decube.api.rest.drain import Drain
    from decube.registry.watching import Change, Changes

_log = structlog.get_logger("decube.api.rest")
_encode_lines = msgspec.json.Encoder(enc_hook=str).encode_lines
_HEADERS = (NDJSON, (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))
_OK = 200
_DEFECT = Internal("a defect of ours: the server's log tells more")


class ErrorLine(msgspec.Struct, frozen=True):
    """A line of a watch: why it ends here."""

    type: Literal["ERROR"]
    error: ErrorDetail


class WatchStream:
    """The answer to one watch. Errors of opening it leave as errors, later ones as a line.

    `seen` is the resource version that the watch resumes from, or None.
    """

    def __init__(
        self,
        watch: AbstractAsyncContextManager[AsyncIterator[Changes[Pod]]],
        seen: str | None,
        drain: Drain,
        bookmark_interval_s: float,
    ) -> None:
        self._watch = watch
        self._drain = drain
        self._interval_s = bookmark_interval_s
        self._told = seen
        self._wrote_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Open the watch and stream it."""
        async with self._watch as changes:
            await send({"type": "http.response.start", "status": _OK, "headers": _HEADERS})
            ends = {
                asyncio.create_task(_wait_until_gone(receive), name="watch-client-gone"),
                asyncio.create_task(self._drain.wait_until_begun(), name="watch-drain"),
            }
            try:
                await self._stream(changes, ends, send)
            except DecubeError as error:
                await self._write(send, [ErrorLine("ERROR", error_detail(error))])
            except Exception:  # noqa: BLE001 - the root of the stream, whose status is out
                _log.exception("watch failed")
                await self._write(send, [ErrorLine("ERROR", error_detail(_DEFECT))])
            finally:
                await _cancel(ends)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(
        self, changes: AsyncIterator[Changes[Pod]], ends: set[asyncio.Task[None]], send: Send
    ) -> None:
        """Write what comes, until an end. A read under way is never cancelled for a bookmark."""
        self._wrote_s = _now_s()
        reading = asyncio.ensure_future(anext(changes, None))
        try:
            while True:
                done, _ = await asyncio.wait(
                    {reading, *ends},
                    timeout=self._interval_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if done & ends:
                    return
                if reading in done:
                    batch = reading.result()
                    if batch is None:
                        return
                    lines = self._lines(batch)
                    reading = asyncio.ensure_future(anext(changes, None))
                else:
                    lines = self._bookmark_if_due()
                if lines:
                    await self._write(send, lines)
        finally:
            await _cancel({reading})

    def _lines(self, batch: Changes[Pod]) -> list[msgspec.Struct]:
        lines: list[msgspec.Struct] = [_line(change) for change in batch.changes]
        if batch.resource_version is None:
            return lines
        ends_present_state = self._told is None
        self._told = str(batch.resource_version)
        if ends_present_state:
            return [*lines, BookmarkLine("BOOKMARK", self._told)]
        return lines or self._bookmark_if_due()

    def _bookmark_if_due(self) -> list[msgspec.Struct]:
        if self._told is None or _now_s() - self._wrote_s < self._interval_s:
            return []
        return [BookmarkLine("BOOKMARK", self._told)]

    async def _write(self, send: Send, lines: list[msgspec.Struct]) -> None:
        self._wrote_s = _now_s()
        body = _encode_lines(lines)
        await send({"type": "http.response.body", "body": body, "more_body": True})


def _line(change: Change[Pod]) -> PodChangeLine:
    view = view_of(change.item)
    return PodChangeLine(change.type.value, view.resource_version, view)


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
