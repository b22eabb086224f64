"""`decube snapshots restore`: in place, into a new data directory, or into an empty etcd."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from decube.cli.confirmation import Yes, confirm
from decube.cli.options import Node, Output
from decube.cli.output import OutputFormat, print_line, print_object
from decube.cli.progress import Report, progress_bar
from decube.cli.snapshots_output import SNAPSHOT
from decube.cli.snapshots_progress import with_progress
from decube.kit.errors import Damaged, Invalid, Unavailable

_GROUP: Final = "Without a node"
_REVISION_MAX: Final = 2**63 - 1


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Offline:
    """Restoring where no node runs: what from, and where to."""

    from_place: Annotated[
        str,
        Parameter(
            name="--from",
            help="LOCATION or LOCATION/ID: a folder, s3://, gs:// or az://. Without an ID the "
            "newest snapshot in it, which must be readable.",
            group=_GROUP,
        ),
    ] = ""
    data_dir: Annotated[
        Path | None,
        Parameter(help="A new data directory to restore into; it must be empty.", group=_GROUP),
    ] = None
    to_endpoint: Annotated[
        str,
        Parameter(help="An empty etcd to fill: its endpoints, by commas.", group=_GROUP),
    ] = ""
    identity_file: Annotated[
        Path | None,
        Parameter(help="The age identity that opens an encrypted snapshot.", group=_GROUP),
    ] = None
    to_revision: Annotated[
        int | None,
        Parameter(help="With --log-dir: up to and including this revision.", group=_GROUP),
    ] = None
    to_time: Annotated[
        str,
        Parameter(
            help="With --log-dir: up to and including this moment, like 2026-01-31T12:00:00Z.",
            group=_GROUP,
        ),
    ] = ""
    log_dir: Annotated[
        Path | None,
        Parameter(
            help="What is left of the old node: its data directory, or that of its log.",
            group=_GROUP,
        ),
    ] = None

    @property
    def is_asked(self) -> bool:
        """Whether any of it was given."""
        return self != Offline()


def restore(
    snapshot: str = "",
    /,
    *,
    skip_hash_check: Annotated[
        bool, Parameter(negative=(), help="Do not compare the hashes of chunks and image.")
    ] = False,
    yes: Yes = False,
    offline: Offline = Offline(),
    node: Node = Node(),
    output: Output = "table",
) -> None:
    r"""Put a snapshot back.

    In place: the node's store then holds what the snapshot shows, at a
    revision above all before, and watches are told to begin anew. What was
    written since is gone. A damaged snapshot changes nothing (exit code 12).
    Asks first on a terminal, and needs --yes where there is none.

    Without a node: into a new data directory, on which a node is then
    started. On top of the snapshot, what is left of the old log may be
    replayed up to a point in time. Or into an empty etcd: what was
    interrupted goes on when it is typed again.

    For example:

        decube snapshots restore snap-20260131T120000000Z-1f2e3d4c --yes
        decube snapshots restore --from s3://backups/prod --data-dir NEW
        decube snapshots restore --from /srv/backups --data-dir NEW \
            --log-dir OLD --to-time 2026-01-31T12:00:00Z
        decube snapshots restore --from s3://backups --to-endpoint HOST:2379
    """
    if not offline.is_asked:
        _in_place(snapshot, node, output, skip_hash_check=skip_hash_check, yes=yes)
        return
    _check_offline(snapshot, offline, skip_hash_check=skip_hash_check)
    from decube.cli import snapshots_offline

    with progress_bar("restoring", in_bytes=True) as report:
        if offline.to_endpoint:
            result = _run(snapshots_offline.fill_endpoint, offline, report, node)
        else:
            result = _run(snapshots_offline.fill_directory, offline, report, node)
    _tell(result, output)


def _run(work: Callable[..., Any], offline: Offline, report: Report, node: Node) -> dict[str, Any]:
    import asyncio

    try:
        result: dict[str, Any] = asyncio.run(work(offline, report, node))
    except Unavailable as error:
        # No node is asked: what is said of one that cannot be reached would lead astray.
        error.details = {"hint": "", **error.details}
        raise
    except Damaged as error:
        error.details = {"hint": "--from LOCATION/ID names another one", **error.details}
        raise
    return result


def _in_place(
    snapshot: str, node: Node, output: OutputFormat, *, skip_hash_check: bool, yes: bool
) -> None:
    if not snapshot:
        raise Invalid(
            "name the snapshot to restore in place, or a location by --from", field="snapshot"
        )
    snapshot_id = SNAPSHOT.bare(snapshot)
    confirm(f"replace all that {node.client().address} holds by {snapshot_id}", yes=yes)
    body = {"skip_hash_check": skip_hash_check}
    result = with_progress(node, snapshot_id, "restore", "restoring", body)
    _tell({"snapshot": snapshot_id, "revision": result["restored_revision"]}, output)


def _check_offline(snapshot: str, offline: Offline, *, skip_hash_check: bool) -> None:
    """Refuse what does not go together."""
    if snapshot:
        raise Invalid(
            f"where no node is asked, write the snapshot behind its location: --from "
            f"{offline.from_place or 'LOCATION'}/{SNAPSHOT.bare(snapshot)}",
            field="snapshot",
        )
    if not offline.from_place:
        raise Invalid("--from LOCATION is needed: where the snapshots are", field="from")
    if bool(offline.data_dir) == bool(offline.to_endpoint):
        raise Invalid("give either --data-dir or --to-endpoint", field="data_dir")
    if skip_hash_check:
        raise Invalid("hashes are always compared where no node is asked", field="skip_hash_check")
    by_revision = offline.to_revision is not None
    if by_revision and offline.to_time:
        raise Invalid("give either --to-revision or --to-time", field="to_time")
    if offline.to_revision is not None and not 0 < offline.to_revision <= _REVISION_MAX:
        raise Invalid(
            f"--to-revision {offline.to_revision} is no revision: they are positive, and the store "
            "counts them from 1",
            field="to_revision",
        )
    point = by_revision or bool(offline.to_time)
    if point and offline.to_endpoint:
        raise Invalid("a point in time is restored into a data directory", field="to_endpoint")
    if point != bool(offline.log_dir):
        raise Invalid("--log-dir goes with --to-revision or --to-time", field="log_dir")


def _tell(result: dict[str, Any], output: OutputFormat) -> None:
    if output in ("json", "yaml"):
        print_object(result, output)
        return
    print_line(f"snapshot/{result['snapshot']} restored")
    if output == "name":
        return
    for key, value in result.items():
        if key != "snapshot":
            print_line(f"  {key.replace('_', ' ')}: {value}")
