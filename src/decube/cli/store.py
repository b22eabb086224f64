"""`decube store`: a look at the store itself, where no node runs."""

from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from decube.kit.errors import Invalid, Unavailable, system_reason

# What every file of a store begins with, in all versions (docs/store-format.md).
_MAGIC: Final = b"DECUBE"

app = App(name="store", help="Look at a store that does not run.", version_flags=[])


@app.command(name="dump-log")
def dump_log(
    *,
    data_dir: Annotated[
        Path | None, Parameter(help="The node's data directory, or that of its log.")
    ] = None,
    file: Annotated[
        Path | None, Parameter(help="A file of writes that were never replicated (tail-*.frames).")
    ] = None,
    output: Annotated[
        Literal["simple", "json"], Parameter(name=["--output", "-o"], help="Form of a line.")
    ] = "simple",
) -> None:
    """Print what the store's log says was done, one entry a line, the oldest first.

    The log holds the effects of commands: changes of keys, leases and alarms, and compactions. It
    begins where older segments were let go. Where the sequence numbers jump a snapshot took the
    place of the state. The node must not run; nothing is changed. Exit code 12 when a file is
    damaged, after what is before the damage.

    With --file it prints what an old primary had written and its successor did not have, which
    `decube replication status` names; the node may run.

    For example:

        decube store dump-log --data-dir /var/lib/decube
        decube store dump-log --data-dir /var/lib/decube -o json | jq 'select(.revision > 100)'
        decube store dump-log --file /var/lib/decube/etcd/wal/tail-1-00000000000000000042.frames
    """
    from decube.cli.store_output import print_json, print_simple
    from decube.daemon.store import log_below
    from decube.store.embedded.log import read_log

    print_entry = print_json if output == "json" else print_simple
    match data_dir, file:
        case None, Path():
            _check_ours(file)
            place = file
        case Path(), None:
            place = log_below(data_dir)
        case _:
            raise Invalid("name one of them: --data-dir or --file", field="data_dir")
    try:
        read_log(place, print_entry)
    except Unavailable as error:
        # No node is asked: how to reach one would lead astray.
        error.details = {"hint": "", **error.details}
        raise


def _check_ours(file: Path) -> None:
    """Raise `Invalid` for a file that none of our files can be: it is not damaged."""
    if not file.is_file():
        raise Invalid(f"there is no file {file}", field="file")
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(_MAGIC))
    except OSError as error:
        reason = system_reason(error)
        raise Invalid(f"cannot read {file}: {reason}", field="file") from error
    if begin != _MAGIC:
        raise Invalid(
            f"{file} is no file of writes that were never replicated",
            field="file",
            hint="they are called tail-*.frames; `decube replication status` names them",
        )
