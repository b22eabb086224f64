"""Which Host headers a loopback listener answers to.

A web page can have its own name resolve to 127.0.0.1 and then read and write an API there that has
no authentication, because for the browser it is the page's own site (DNS rebinding). But the
browser sends the page's name as Host; so a listener on loopback accepts only names of loopback. A
listener on other addresses is reached by names that only its operator knows, and is not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.kit.addresses import Address
from decube.model.names import shown

if TYPE_CHECKING:
    from decube.api.rest.dependencies import RestOptions

_ACCEPTED_REMEMBERED_MAX = 256


class HostCheck:
    """Remembers the few Host values that were accepted, so that a check is one look-up."""

    def __init__(self, options: RestOptions) -> None:
        self._is_on = options.listen.is_loopback
        self._names = {
            "localhost",
            options.listen.host.lower(),
            *map(str.lower, options.allowed_hosts),
        }
        self._accepted: set[bytes] = set()

    def refusal(self, host: bytes) -> str | None:
        """Say why the header is refused, or None. An absent one is accepted: browsers send it."""
        if not self._is_on or not host or host in self._accepted:
            return None
        text = host.decode("latin-1")
        if not self._accepts(_without_port(text).lower()):
            return (
                f"host {shown(text)} is not this API's: a listener on loopback answers to "
                "localhost, loopback addresses and api.rest.allowed_hosts only"
            )
        if len(self._accepted) < _ACCEPTED_REMEMBERED_MAX:
            self._accepted.add(host)
        return None

    def _accepts(self, name: str) -> bool:
        return name in self._names or name.endswith(".localhost") or Address(name, 0).is_loopback


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
