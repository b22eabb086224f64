"""Where the listeners of a node are to be: each has an address of its own. Pure."""

from __future__ import annotations

import ipaddress
from itertools import combinations
from typing import TYPE_CHECKING, Final

from decube.config.listener_tls import LISTENERS, listeners_off

if TYPE_CHECKING:
    from collections.abc import Mapping

    from decube.config.listener_tls import ListenerName
    from decube.config.settings import Settings
    from decube.kit.addresses import Address

_KEYS: Final[Mapping[ListenerName, str]] = {
    "rest": "api.rest.address",
    "grpc": "api.grpc.address",
    "etcd": "node.listen_address",
    "peer": "replication.listen_address",
}


def contradictions(settings: Settings) -> list[str]:
    """Tell which of the listeners that are opened are to be at one address, by key."""
    wanted: Mapping[ListenerName, Address] = {
        "rest": settings.api.rest.address,
        "grpc": settings.api.grpc.address,
        "etcd": settings.node.listen_address,
        "peer": settings.replication.listen_address,
    }
    off = listeners_off(settings)
    opened = [name for name in LISTENERS if name not in off]
    return [
        f"{_KEYS[other]}: {wanted[other]} is taken by {_KEYS[one]} ({wanted[one]}): each listener "
        "needs a port of its own"
        for one, other in combinations(opened, 2)
        if _collide(wanted[one], wanted[other])
    ]


def _collide(one: Address, other: Address) -> bool:
    """Tell whether only one of them can be had; of port 0 each is another one."""
    if one.port != other.port or not one.port:
        return False
    ours, theirs = _host(one), _host(other)
    if ours == theirs:
        return True
    return _is_within(ours, theirs) or _is_within(theirs, ours)


def _host(address: Address) -> str:
    host = address.host.lower()
    # IPv4 is what the listeners take of it where it is both.
    return "127.0.0.1" if host == "localhost" else host


def _is_within(all_interfaces: str, host: str) -> bool:
    """Tell whether the first stands for all addresses, the second among them.

    `::` is IPv4 as well; of another name it is not known here which of the two it is.
    """
    if all_interfaces == str(ipaddress.IPv6Address(0)):
        return True
    return all_interfaces == str(ipaddress.IPv4Address(0)) and ":" not in host
