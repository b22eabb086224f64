"""A TCP proxy that can cut, hold, delay and reset: the network between two real processes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

from tools.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

_CHUNK = 64 * 1024
_SECONDS_MAX = 10.0
# The loop's turns until an aborted transport has closed its socket, with some to spare.
_TURNS_TO_CLOSE = 3


class TcpProxy:
    """Listens on a port of its own and passes on to `target` (`host:port`), as it is told to.

    `accepting` False refuses new connections; `delay_s` holds each piece that long; `asked` is set
    when something passes to the target, for tests to clear and await; `answer_bytes_max` ends a
    connection behind so many bytes from the target. It runs on a thread of its
    own: a test that blocks in a call must not be what stops the network below that call.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.delay_s = 0.0
        self.accepting = True
        self.asked = threading.Event()
        self.answers_dropped = False
        self.answer_bytes_max: int | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pipes: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")

    async def __aenter__(self) -> Self:
        self._thread.start()
        self._await(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.accepting = False
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def wait_until_asked(self) -> None:
        """Wait until something has passed to the target since `asked` was cleared."""
        asked = await asyncio.to_thread(self.asked.wait, _SECONDS_MAX)
        assert asked, "nothing passed to the target"

    def reset(self) -> None:
        """End all connections with a reset; what was on its way is lost."""
        self._do(self._reset)

    def cut(self) -> None:
        """Reset what there is and let nobody in, until `heal`."""
        self.accepting = False
        self.reset()

    def hold(self) -> None:
        """Let nothing through any more, without a word, until `heal`."""
        self._do(self._flowing.clear)

    def heal(self) -> None:
        """Be a good network again."""
        self.accepting = True
        self.answers_dropped = False
        self.answer_bytes_max = None
        self.delay_s = 0.0
        self._do(self._flowing.set)

    def _do(self, action: Callable[[], object]) -> None:
        async def done() -> None:
            action()

        self._await(done())

    def _await(self, work: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS_MAX)

    async def _listen(self) -> None:
        # Not asyncio's server: one that is closed between the accepting of a connection and the
        # making of its transport leaves the socket open, with nobody who knows of it.
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(0)
        self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _close(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
        self._reset()
        running = (*self._serving, *self._pipes)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    def _reset(self) -> None:
        for writer in tuple(self._writers):
            connection = writer.get_extra_info("socket")
            if connection is not None and connection.fileno() >= 0:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = listener.accept()
            connection.settimeout(0)
            serving = asyncio.create_task(self._serve(connection))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
            # A task that is cancelled before its first step closes nothing itself.
            serving.add_done_callback(lambda _: connection.close())

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
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
        left = None if to_target else self.answer_bytes_max
        with contextlib.suppress(OSError):
            while left != 0 and (piece := await reader.read(_CHUNK if left is None else left)):
                left = None if left is None else left - len(piece)
                await self._flowing.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if to_target:
                    self.asked.set()
                elif self.answers_dropped:
                    continue
                writer.write(piece)
                await writer.drain()
