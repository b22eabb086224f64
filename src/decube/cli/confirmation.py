"""What takes something away that no command brings back is asked about first.

On a terminal a question, anywhere else `--yes`: a script says in its text that it means it, and
does not wait for an answer that nobody gives. Such are restoring in place, deleting snapshots, and
changing who is primary. Deleting pods, leases and keys asks nothing, as kubectl and etcdctl do not.
"""

import sys
from typing import Annotated, TextIO

from cyclopts import Parameter

from decube.kit.errors import Invalid

Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), help="Do it without asking.")]


def confirm(what: str, *, yes: bool) -> None:
    """Go on only if that is meant. Raises `Invalid`: nothing was changed."""
    if yes:
        return
    # Without any standard input Python has none, whatever its type says.
    stdin: TextIO | None = sys.stdin
    if stdin is None or not stdin.isatty():
        raise Invalid(f"--yes is needed to {what} without being asked", field="yes")
    # Standard output may be a file.
    sys.stderr.write(f"This will {what}. Go on? [y/N] ")
    sys.stderr.flush()
    if stdin.readline().strip().lower() not in ("y", "yes"):
        raise Invalid("not confirmed: nothing was changed", field="yes")
