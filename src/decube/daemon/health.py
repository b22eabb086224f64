"""Whether the node's own store does what it is for, as health checks are told.

Two troubles, that ask for two different things:

* It takes no more writes, after an IO error: only a restart helps, and the node ends for it by
  itself. Nothing hides that.
* The alarm NOSPACE: writes are refused until somebody makes room and disarms it. A restart helps
  nothing, and would take away the reads and deletes that go on; so whoever restarts what is
  unhealthy leaves that alarm out.

A standby's own store is looked at as well; how far it is behind does not count, nor whether it
hears of its primary. Alarms are replicated, as all that is in a store: the primary's is told by
each of its standbys, as by etcd's members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.kit.errors import DecubeError

if TYPE_CHECKING:
    from decube.store.embedded import EmbeddedStore


class StoreHealth:
    """Looks at the store in this process; cheap, and never blocks."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store

    def stopped(self) -> str:
        """Tell why the store takes no more writes until it is opened anew, "" while it does."""
        try:
            latched, _ = self._store.troubles()
        except DecubeError as error:
            return error.message
        return latched or ""

    def alarm(self) -> str:
        """Name the alarm that is raised, "" for none."""
        try:
            # Of etcd's two alarms CORRUPT cannot be raised here: nobody is there to differ from.
            return "NOSPACE" if self._store.statistics()["alarms"] else ""
        except DecubeError:
            return ""
