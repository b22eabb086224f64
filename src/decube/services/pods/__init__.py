"""Pods: what the flat APIs ask for, on the registry."""

from decube.services.pods.service import ALL_NAMESPACES, PodChange, PodDraft, PodService

__all__ = ["ALL_NAMESPACES", "PodChange", "PodDraft", "PodService"]
