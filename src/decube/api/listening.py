"""Binds a listener's address, so that one that cannot be had is told at once, by its errno."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decube.kit.addresses import Address

BACKLOG = 2048


def listen_on(address: Address) -> socket.socket:
    """Return a socket that listens there.

    Raises `OSError`, naming the address: `gaierror` where it is a name that cannot be resolved.
    """
    try:
        family = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except UnicodeError as error:
        # No name of the network is written so: nobody was asked.
        raise socket.gaierror(socket.EAI_NONAME, f"{address.host} is no host name") from error
    except OSError as error:
        raise _told(error, address) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _told(error, address) from error
    listener.setblocking(False)  # noqa: FBT003 - its only parameter
    return listener


def _told(error: OSError, address: Address) -> OSError:
    kind = socket.gaierror if isinstance(error, socket.gaierror) else OSError
    return kind(error.errno, f"cannot listen on {address}: {error.strerror}")
