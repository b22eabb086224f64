"""Imports that cost more than they give."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def absent(name: str) -> Iterator[None]:
    """Let importing a package fail within the block, unless it is imported already.

    For what others import if they can and do well without: where it is installed, it may cost more
    time than all that is wanted of them.
    """
    if name in sys.modules:
        yield
        return
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]
    modules[name] = None
    try:
        yield
    finally:
        del sys.modules[name]
