"""Leases: something is somebody's for a time, and nobody else's meanwhile."""

from decube.services.leases.service import (
    ID_PATTERN,
    Created,
    LeaseDraft,
    LeasePage,
    LeaseService,
)

__all__ = ["ID_PATTERN", "Created", "LeaseDraft", "LeasePage", "LeaseService"]
