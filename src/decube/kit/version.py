"""The version of the product."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def product_version() -> str:
    """Return the installed version."""
    try:
        return version("decube")
    except PackageNotFoundError:
        return "unknown"
