"""What client commands print: tables for people; JSON, YAML and names for scripts.

On a terminal a table is drawn by rich; elsewhere it is plain aligned text, one row a line, nothing
cut off, so that `grep` and `awk` work on it.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

OutputFormat = Literal["table", "json", "yaml", "name"]


def print_line(text: str) -> None:
    """Print one line at once, also into a pipe: what watches print must be seen when it happens."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_bytes(content: bytes) -> None:
    """Print bytes as they are, at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def print_object(value: Any, output: OutputFormat) -> None:  # noqa: ANN401 - what JSON holds
    """Print one object as JSON or YAML."""
    if output == "yaml":
        import yaml

        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    else:
        print_line(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head."""
    widths = [max(len(row[place]) for row in [columns, *rows]) for place in range(len(columns))]
    if sys.stdout.isatty():
        _print_rich(columns, rows, widths)
        return
    for row in [columns, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_line("  ".join(cells).rstrip())


def _print_rich(
    columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    widest = widths.index(max(widths))
    for place, column in enumerate(columns):
        # Where the terminal is too narrow the longest texts are folded, not a name or a time.
        table.add_column(column, overflow="fold", no_wrap=place != widest)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
