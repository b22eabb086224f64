"""How moments are written: RFC 3339 in UTC, whole seconds, as the original and Kubernetes do.

Those that are to be told apart, as Kubernetes' `MicroTime`, have microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def rfc3339(moment: datetime) -> str:
    """Write a moment that is in UTC: `2026-01-01T00:00:00Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def rfc3339_micro(moment: datetime) -> str:
    """Write a moment that is in UTC: `2026-01-01T00:00:00.000000Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
