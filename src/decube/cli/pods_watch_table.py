"""The table that `decube pods watch` prints: of fixed widths, as what comes later is not known yet.

Labels come last. On a terminal a line is cut at its edge rather than folded, elsewhere it is whole.
"""

import shutil
import sys

from decube.cli.output import print_line
from decube.cli.pods_output import Pod, cells_of

_WIDTHS = {
    "EVENT": 8,
    "NAMESPACE": 12,
    "NAME": 20,
    "STATUS": 9,
    "NODE": 9,
    "VERSION": 7,
    "LABELS": 0,
}
"""Without the namespace they fit into 80 columns, with some labels."""


class ChangeTable:
    """Prints changes of pods; of all namespaces, with the namespace."""

    def __init__(self, *, all_namespaces: bool) -> None:
        self._columns = [name for name in _WIDTHS if all_namespaces or name != "NAMESPACE"]
        self._width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def print_head(self) -> None:
        """Print what stands above the columns."""
        self._print({column: column for column in self._columns})

    def print_change(self, kind: str, pod: Pod) -> None:
        """Print one line."""
        self._print({"EVENT": kind, **cells_of(pod)})

    def _print(self, cells: dict[str, str]) -> None:
        line = "  ".join(cells[column].ljust(_WIDTHS[column]) for column in self._columns).rstrip()
        print_line(line[: self._width])
