"""How tests wait for what others do: for a level, with a bound that only a failure reaches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# For a machine that many share; half of what a test may take, so that this tells what was awaited.
WAIT_S_MAX: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that another process or thread does."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(_LOOK_AGAIN_S)  # noqa: TID251 - between two looks at another process
