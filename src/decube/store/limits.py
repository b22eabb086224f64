"""Limits that every backend shares; they are etcd's defaults."""

from __future__ import annotations

REQUEST_BYTES_MAX = 1536 * 1024
LEASE_TTL_S_MAX = 9_000_000_000
