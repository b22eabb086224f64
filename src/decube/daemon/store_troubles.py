"""Says in the log when the store stops writing, and when the upkeep of its log fails.

The engine logs nothing itself. It is looked at every second; what has not changed is not repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from decube.kit.clock import SystemClock
from decube.kit.errors import DecubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from decube.kit.clock import Clock

    Troubles = Callable[[], tuple[str | None, str | None]]

LOOK_INTERVAL_S = 1.0
_SYSTEM_CLOCK = SystemClock()

_log = structlog.get_logger("decube.store")


async def tell_troubles(troubles: Troubles, clock: Clock = _SYSTEM_CLOCK) -> None:
    """Log what goes wrong, until the store is closed. `troubles` is the embedded store's."""
    told: tuple[str | None, str | None] = (None, None)
    while True:
        try:
            latched, upkeep = troubles()
        except DecubeError:
            return
        if latched and latched != told[0]:
            _log.error("the store takes no more writes: restart the node", reason=latched)
        if upkeep and upkeep != told[1]:
            _log.warning("a checkpoint or the upkeep of the log failed", reason=upkeep)
        told = (latched, upkeep)
        await clock.sleep(LOOK_INTERVAL_S)
