"""Between addresses as configured, as bound, and as others reach them."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Final

from decube.daemon.exits import ExitCode, StartFailure
from decube.kit.addresses import Address

# Reserved for documentation (RFC 5737): nobody is there, and nothing is sent.
_ELSEWHERE: Final = ("192.0.2.1", 9)


async def resolved(address: Address) -> Address:
    """Return the address with its host as an IP address. Raises `OSError`."""
    if address.is_ip:
        return address
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except UnicodeError as error:
        # No name of the network is written so: nobody was asked.
        raise socket.gaierror(socket.EAI_NONAME, f"{address.host} is no host name") from error
    # `localhost` is mostly both: clients try IPv4 everywhere.
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)
    return Address(str(found[0][4][0]), address.port)


async def check_free(exact: Address) -> None:
    """Raise `OSError` if nobody could listen at a resolved address now."""
    family = socket.AF_INET6 if ":" in exact.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((exact.host, exact.port))
        probe.listen()


def advertised(bound: Address, advertise_host: str) -> Address:
    """Return the address by which others reach a bound one."""
    if advertise_host:
        return Address(advertise_host, bound.port)
    return Address(_default_route_host(), bound.port) if bound.is_any else bound


def cannot_listen(what: str, key: str, address: Address, error: OSError) -> StartFailure:
    """Say which listener could not be opened, and which key moves it."""
    if error.errno == errno.EADDRINUSE:
        return StartFailure(
            f"the {what} API cannot listen on {address}: the port is taken",
            ExitCode.ADDRESS_IN_USE,
            hint=f"stop what has it (`ss -tanp` tells), or set another {key}",
        )
    if isinstance(error, socket.gaierror):
        # Its numbers are not the system's.
        reason = f"the name {address.host} cannot be resolved"
    else:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
    return StartFailure(
        f"the {what} API cannot listen on {address}: {reason}",
        ExitCode.CANNOT_LISTEN,
        hint=f"set {key} to an address of this machine, like 127.0.0.1:{address.port}",
    )


def _default_route_host() -> str:
    """Return the address of the interface that leads elsewhere, else loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
