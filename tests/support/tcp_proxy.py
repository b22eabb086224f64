"""A TCP proxy that can cut, hold, delay and reset: the network between two real processes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Self

from tools.servers import free_port

if TYPE_CHECKING:
    from types import TracebackType

_CHUNK = 64 * 1024


class TcpProxy:
    """Listens on a port of its own and passes on to `target` (`host:port`), as it is told to.

    `accepting` False refuses new connections; while `flowing` is not set bytes of both directions
    wait, as in a network that lost its way; `delay_s` holds each piece that long. `asked` is set
    when something passes to the target, for tests to clear and wait for.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.delay_s = 0.0
        self.accepting = True
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.asked = asyncio.Event()
        self.answers_dropped = False
        self._pipes: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.accepting = False
        if self._server is not None:
            self._server.close()
        self.reset()
        running = (*self._serving, *self._pipes)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        # Aborted transports close their sockets at the loop's next turn.
        await asyncio.sleep(0)

    def reset(self) -> None:
        """End all connections with a reset; what was on its way is lost."""
        for writer in tuple(self._writers):
            connection = writer.get_extra_info("socket")
            if connection is not None and connection.fileno() >= 0:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    def cut(self) -> None:
        """Reset what there is and let nobody in, until `heal`."""
        self.accepting = False
        self.reset()

    def hold(self) -> None:
        """Let nothing through any more, without a word, until `heal`."""
        self.flowing.clear()

    def heal(self) -> None:
        """Be a good network again."""
        self.accepting = True
        self.answers_dropped = False
        self.delay_s = 0.0
        self.flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        if serving is not None:
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        try:
            await self._pass_on(reader, writer)
        finally:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached = await self._reach() if self.accepting else None
        if reached is None:
            return
        to_reader, to_writer = reached
        self._writers.update((writer, to_writer))
        pipes = (
            asyncio.create_task(self._pipe(reader, to_writer, to_target=True)),
            asyncio.create_task(self._pipe(to_reader, writer, to_target=False)),
        )
        self._pipes.update(pipes)
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
                self._pipes.discard(pipe)
            for end in (writer, to_writer):
                self._writers.discard(end)
                end.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await asyncio.open_connection(*self._target)
        except OSError:
            return None

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_target: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                await self.flowing.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if to_target:
                    self.asked.set()
                elif self.answers_dropped:
                    continue
                writer.write(piece)
                await writer.drain()
