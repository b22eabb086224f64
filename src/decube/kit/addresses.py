"""Network addresses `host:port`, as the configuration writes them: parsed once, at the edge."""

from __future__ import annotations

import ipaddress
from typing import Final

PORT_MAX: Final = 65535
ALL_INTERFACES: Final = "0.0.0.0"  # noqa: S104 - only a name for it; the default is loopback


class Address:
    """A host (name or IP address, an IPv6 one without brackets) and a port. Immutable.

    To listen on, port 0 means one that is free. A plain class, so that msgspec, which would read a
    dataclass from an object, asks the loader how to read it.
    """

    __slots__ = ("_host", "_port")

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    @property
    def host(self) -> str:
        """The name or IP address, without brackets."""
        return self._host

    @property
    def port(self) -> int:
        """The port, 0 to 65535."""
        return self._port

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_ip(self) -> bool:
        """Whether the host is an IP address, not a name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def is_any(self) -> bool:
        """Whether it stands for all addresses of the machine."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def reachable(self) -> Address:
        """The address to call it by from this machine."""
        if not self.is_any:
            return self
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)


def parse_address(text: str) -> Address:
    """Read `host:port`, `[::1]:port` or `:port` (all interfaces).

    Raises `ValueError` with a text that says what is wrong and how it is written.
    """
    host, colon, port_text = text.strip().rpartition(":")
    if not colon:
        raise ValueError(f'"{text}" has no port: write it like 127.0.0.1:8080')
    if not (port_text.isascii() and port_text.isdigit()) or int(port_text) > PORT_MAX:
        raise ValueError(f'"{text}" has a bad port "{port_text}": a port is 0 to {PORT_MAX}')
    return Address(_parse_host(text, host), int(port_text))


def _parse_host(text: str, host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError as error:
            raise ValueError(f'"{text}" has a bad IPv6 address: {error}') from error
    if ":" in host:
        raise ValueError(f'"{text}" is ambiguous: an IPv6 address stands in brackets, [::1]:8080')
    if any(char.isspace() or char in "/@[]" for char in host):
        raise ValueError(f'"{text}" is not host:port: write it like 127.0.0.1:8080, without a URL')
    return host or ALL_INTERFACES
