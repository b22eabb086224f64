"""The etcd port of an embedded store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from decube.store.embedded.options import ListenerTlsStatus

if TYPE_CHECKING:
    from decube import _native

STOP_GRACE_S = 5.0


class EtcdListener:
    """The etcd port of an embedded store. To be stopped before the store is closed."""

    def __init__(self, native: _native.EtcdListener) -> None:
        self._native = native
        self.address = native.address

    def tls_status(self) -> ListenerTlsStatus | None:
        """Return what the port knows of its certificate; None without TLS."""
        status = self._native.tls_status()
        if status is None:
            return None
        not_after_s, refused, handshake_failures = status
        return ListenerTlsStatus(
            not_after_s=not_after_s, refused=refused, handshake_failures=handshake_failures
        )

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no more connections, let calls finish for `grace_s`, then cut. Twice is fine."""
        await asyncio.to_thread(self._native.stop, grace_s)
