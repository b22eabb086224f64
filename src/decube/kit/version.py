"""The version of the product."""

from __future__ import annotations

import functools


@functools.cache
def product_version() -> str:
    """Return the installed version."""
    # It takes longer to import than all else that is needed to open a store.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("decube")
    except PackageNotFoundError:
        return "unknown"
