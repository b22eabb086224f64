"""Brings the Rust core's log events into the log of the process.

They come from the moment the store opens; our log is configured later, when what it needs is
imported. What comes before is kept, and told then with the time it happened.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from decube.kit.errors import Invalid
from decube.store.embedded import CoreLogs

if TYPE_CHECKING:
    from collections.abc import Mapping

    Event = tuple[float, str, str, str, Mapping[str, object]]

_EARLY_EVENTS_MAX: Final = 1000
_CORE_LEVELS: Final = {"warning": "warn"}


class CoreLogRelay:
    """Keeps events until `connect`, then passes them on. Used on one event loop."""

    def __init__(self, level: str) -> None:
        self._early: deque[Event] = deque(maxlen=_EARLY_EVENTS_MAX)
        self._connected = False
        self._logs: CoreLogs | None = None
        try:
            self._logs = CoreLogs.open(_CORE_LEVELS.get(level, level), self._take)
        except Invalid:
            # The core collects them once in a process, and this is its second node.
            return

    def connect(self) -> None:
        """Pass on what was kept, and from now on everything at once."""
        from decube.kit.logging import forward  # noqa: PLC0415 - not before the etcd port is up

        self._connected = True
        while self._early:
            forward(*self._early.popleft())

    def close(self) -> None:
        """Pass on the last ones."""
        if self._logs is not None:
            self._logs.close()

    def _take(
        self, wall_s: float, level: str, target: str, event: str, fields: Mapping[str, object]
    ) -> None:
        if not self._connected:
            self._early.append((wall_s, level, target, event, fields))
            return
        from decube.kit.logging import forward  # noqa: PLC0415 - imported by `connect`

        forward(wall_s, level, target, event, fields)
