"""Says in the log when the store stops writing, is full, or fails in the upkeep of its log.

The engine logs nothing itself. It is looked at every second; what has not changed is not repeated.
A store that stopped writing recovers by being opened again, so the node ends a minute later, for
whoever runs it to start it again: until then reads go on, and metrics tell what is wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import structlog

from decube.daemon.exits import ExitCode, StartFailure
from decube.kit.clock import SystemClock
from decube.kit.errors import DecubeError
from decube.store.limits import QUOTA_HINT

if TYPE_CHECKING:
    from collections.abc import Callable

    from decube.kit.clock import Clock

    Troubles = Callable[[], tuple[str | None, str | None]]

LOOK_INTERVAL_S = 1.0
STOPPED_GRACE_S = 60.0
_SYSTEM_CLOCK = SystemClock()

_log = structlog.get_logger("decube.store")


async def tell_troubles(
    troubles: Troubles, alarm: Callable[[], str], clock: Clock = _SYSTEM_CLOCK
) -> None:
    """Log what goes wrong, until the store is closed. `troubles` is the embedded store's.

    `alarm` names the one that is raised, "" for none.

    Raises `StartFailure` a minute after the store stopped writing.
    """
    told: tuple[str | None, str | None] = (None, None)
    raised = ""
    ends_s = math.inf
    while True:
        try:
            latched, upkeep = troubles()
        except DecubeError:
            return
        if latched and latched != told[0]:
            _log.error(
                "the store takes no more writes: the node ends in a minute, to be started again",
                reason=latched,
            )
            ends_s = clock.monotonic_s() + STOPPED_GRACE_S
        if upkeep and upkeep != told[1]:
            _log.warning("a checkpoint or the upkeep of the log failed", reason=upkeep)
        told = (latched, upkeep)
        raised = _tell_alarm(raised, alarm())
        if latched and clock.monotonic_s() >= ends_s:
            raise StartFailure(
                latched,
                ExitCode.STORE_STOPPED,
                hint="see to the disk, then start the node again: it recovers what its files hold, "
                "which is all that was acknowledged",
            )
        await clock.sleep(LOOK_INTERVAL_S)


def _tell_alarm(before: str, now: str) -> str:
    """Log that an alarm was raised or ended; returns the one of now."""
    if now and now != before:
        _log.error(
            "the store has reached etcd.quota_backend_bytes: writes that need room are refused",
            alarm=now,
            hint=QUOTA_HINT,
        )
    elif before and not now:
        _log.info("the alarm was ended: all writes are taken again", alarm=before)
    return now
