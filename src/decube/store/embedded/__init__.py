"""The store in this process: the engine of `crates/engine`, durable or in memory.

Outside this package only `store.remote` imports the extension module, for the codec of images.
"""

from __future__ import annotations

from decube.store.embedded.listener import EtcdListener
from decube.store.embedded.logs import CoreLogs
from decube.store.embedded.offline import ReplayLog, RestoredStore, restore_offline
from decube.store.embedded.options import (
    EmbeddedOptions,
    EtcdListenerOptions,
    ListenerTls,
    ListenerTlsStatus,
)
from decube.store.embedded.store import EmbeddedStore

__all__ = [
    "CoreLogs",
    "EmbeddedOptions",
    "EmbeddedStore",
    "EtcdListener",
    "EtcdListenerOptions",
    "ListenerTls",
    "ListenerTlsStatus",
    "ReplayLog",
    "RestoredStore",
    "restore_offline",
]
