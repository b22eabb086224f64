"""The store behind etcd v3 endpoints: a cluster that DeCube supervises, or one you have."""

from __future__ import annotations

from decube.store.remote.options import Credentials, RemoteOptions, TlsOptions
from decube.store.remote.store import RemoteStore

__all__ = ["Credentials", "RemoteOptions", "RemoteStore", "TlsOptions"]
