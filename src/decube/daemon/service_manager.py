"""Tells systemd (or whoever set NOTIFY_SOCKET) how the start and the stop go: sd_notify(3).

Where its unit has WatchdogSec, also that the event loop still turns; when it does not, the service
manager restarts the node.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from decube.kit.clock import SystemClock

if TYPE_CHECKING:
    from typing import NoReturn

    from decube.kit.clock import Clock

_US_PER_S = 1e6
_SYSTEM_CLOCK = SystemClock()


def notify(state: str) -> None:
    """Send a state such as `READY=1`. Without NOTIFY_SOCKET, or a listener there, nothing."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return


def watchdog_interval_s() -> float:
    """Return how often the service manager wants to hear of us at least; 0 if it does not."""
    watched, interval = os.environ.get("WATCHDOG_PID", ""), os.environ.get("WATCHDOG_USEC", "")
    if not interval.isdecimal() or watched not in ("", str(os.getpid())):
        return 0.0
    return int(interval) / _US_PER_S


async def keep_alive(interval_s: float, clock: Clock = _SYSTEM_CLOCK) -> NoReturn:
    """Tell the service manager that we are alive, twice as often as it wants, until cancelled."""
    while True:
        notify("WATCHDOG=1")
        await clock.sleep(interval_s / 2)
