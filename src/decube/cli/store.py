"""`decube store`: a look at the store itself, where no node runs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from decube.kit.errors import Unavailable

app = App(name="store", help="Look at a store that does not run.", version_flags=[])


@app.command(name="dump-log")
def dump_log(
    *,
    data_dir: Annotated[Path, Parameter(help="The node's data directory, or that of its log.")],
    output: Annotated[
        Literal["simple", "json"], Parameter(name=["--output", "-o"], help="Form of a line.")
    ] = "simple",
) -> None:
    """Print what the store's log says was done, one entry a line, the oldest first.

    The log holds the effects of commands: changes of keys, leases and alarms, and compactions. It
    begins where older segments were let go. Where the sequence numbers jump a snapshot took the
    place of the state. The node must not run; nothing is changed. Exit code 12 when a segment is
    damaged, after what is before the damage.

    For example:

        decube store dump-log --data-dir /var/lib/decube
        decube store dump-log --data-dir /var/lib/decube -o json | jq 'select(.revision > 100)'
    """
    from decube.cli.store_output import print_json, print_simple
    from decube.daemon.store import log_below
    from decube.store.embedded.log import read_log

    print_entry = print_json if output == "json" else print_simple
    try:
        read_log(log_below(data_dir), print_entry)
    except Unavailable as error:
        # No node is asked: how to reach one would lead astray.
        error.details = {"hint": "", **error.details}
        raise
