"""Limits that every backend shares; they are etcd's defaults."""

from __future__ import annotations

REQUEST_BYTES_MAX = 1536 * 1024
LEASE_TTL_S_MAX = 9_000_000_000

QUOTA = "quota"
"""The reason of an error where the store has used up its quota: waiting does not help."""

QUOTA_HINT = (
    "make room (`decube kv del` what is of no use, then `decube kv compact --physical`) or raise "
    "etcd.quota_backend_bytes and restart; then end the alarm: `decube kv alarm disarm`"
)
