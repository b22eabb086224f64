"""Leases: something is somebody's for a time, and nobody else's meanwhile."""

from decube.services.leases.service import Created, LeaseDraft, LeasePage, LeaseService

__all__ = ["Created", "LeaseDraft", "LeasePage", "LeaseService"]
