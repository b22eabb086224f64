"""Rows that hold no readable object: counted each time one is met, logged once per version.

A row becomes unreadable when somebody writes to the store past the API, or a newer DeCube wrote it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter

from decube.kit.escaping import escaped

if TYPE_CHECKING:
    from decube.store.types import KeyValue

LOGGED_ROWS_REMEMBERED = 1024
PART_LENGTH_MAX = 1024
"""Of a name or a namespace in a key: longer ones are left to whoever wrote them."""

_log = structlog.get_logger("decube.registry")


class UnreadableRows:
    """Where the registries of one process report such rows. `metrics` tells how many."""

    def __init__(self, metrics: CollectorRegistry | None = None) -> None:
        self._met = Counter(
            "decube_registry_unreadable_rows",
            "Reads of stored rows that hold no readable object",
            ["resource"],
            registry=metrics or CollectorRegistry(),
        )
        self._logged: OrderedDict[tuple[bytes, int], None] = OrderedDict()

    def report(self, resource: str, row: KeyValue, reason: str) -> None:
        """Count the row, and log it unless this version of it was logged before."""
        self._met.labels(resource).inc()
        version = (row.key, row.mod_revision)
        if version in self._logged:
            return
        self._logged[version] = None
        if len(self._logged) > LOGGED_ROWS_REMEMBERED:
            self._logged.popitem(last=False)
        _log.error(
            "stored row is unreadable and left out",
            resource=resource,
            key=escaped(row.key),
            mod_revision=row.mod_revision,
            reason=reason,
        )


def may_be_in_a_key(text: str) -> bool:
    """Tell whether a part of a key may be called so, by whoever wrote past the API."""
    is_text = not any("\ud800" <= char <= "\udfff" for char in text)
    return is_text and 0 < len(text) <= PART_LENGTH_MAX and "\0" not in text
