"""Ports for servers of tests and benchmarks, which no two processes give out."""

from __future__ import annotations

import contextlib
import itertools
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Below the ports that the system gives to outgoing connections: one of those could take the port of
# a server that is just being restarted.
_PORTS = range(11_000, 32_000)
_BLOCK = 500


def free_port() -> int:
    """Return a loopback port that nobody listens on, and not the same one soon again."""
    for port in itertools.islice(_own_ports, len(_PORTS)):
        with contextlib.suppress(OSError), _bound(port):
            return port
    raise RuntimeError("no port is free")


def _of_own_blocks() -> Iterator[int]:
    """Give the ports of one block after the other, and when all are taken those of the own again.

    Who holds the first port of a block may give out the others, for as long as it lives: tests that
    run side by side must not take a port while its server is being restarted.
    """
    own: list[int] = []
    for first in _PORTS[::_BLOCK]:
        with contextlib.suppress(OSError):
            # Nobody closes it but the end of this process.
            _bound(first).detach()
            own.append(first)
            yield from range(first + 1, first + _BLOCK)
    while own:
        for first in own:
            yield from range(first + 1, first + _BLOCK)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound


_own_ports = _of_own_blocks()
