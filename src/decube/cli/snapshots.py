"""`decube snapshots`: snapshots by the REST API, and restoring where there is no node."""

from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.confirmation import Yes, confirm
from decube.cli.options import Node, Output
from decube.cli.output import OutputFormat, print_line, print_object, print_table
from decube.cli.paging import listed
from decube.cli.progress import pause, progress_bar
from decube.cli.rest_client import RestClient
from decube.cli.snapshots_archive import download, upload
from decube.cli.snapshots_output import Snapshot, print_snapshot, print_snapshots, size_text
from decube.cli.snapshots_path import SNAPSHOTS, bare_id, snapshot_path
from decube.cli.snapshots_progress import PERCENT, with_progress
from decube.cli.snapshots_restore import restore
from decube.kit.errors import Damaged, Internal, Invalid, NotFound

app = App(name="snapshots", help="Take, check and restore snapshots.", version_flags=[])
app.command(restore)
app.command(download)
app.command(upload)

Metadata = Annotated[
    tuple[str, ...],
    Parameter(name=["--metadata", "-m"], negative=(), help="KEY=VALUE; may be repeated."),
]


@app.command
def create(
    name: str = "",
    /,
    *,
    metadata: Metadata = (),
    wait: Annotated[bool, Parameter(help="Wait until it is completed.")] = True,
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Take a snapshot. Exit code 5 while another is being created.

    For example:

        decube snapshots create before-upgrade -m ticket=OPS-7
        decube snapshots create -o name
    """
    client = node.client()
    body = {"name": name, "metadata": dict(map(_pair, metadata))}
    # Polling holds no connection for as long as a large snapshot takes.
    begun = client.call("POST", SNAPSHOTS, query={"wait": "false"}, body=body)["snapshot"]
    if not wait:
        _tell(begun, "begun", output)
        return
    _wait_until_completed(client, begun["id"])
    _tell(client.call("GET", snapshot_path(begun["id"]))["snapshot"], "created", output)


@app.command(name="list")
def list_snapshots(
    *,
    limit: Annotated[int, Parameter(help="At most that many; 0 lists all.")] = 0,
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """List the snapshots in the node's location, the newest first.

    For example:

        decube snapshots list
        decube snapshots list --limit 1 -o name
    """
    snapshots = list(listed(node.client(), SNAPSHOTS, {}, limit))
    if output in ("json", "yaml"):
        print_object({"snapshots": snapshots, "count": len(snapshots)}, output)
    else:
        print_snapshots(snapshots, output)


@app.command
def get(snapshot: str, /, *, node: Node = Node(), output: Output = "table") -> None:
    """Read one snapshot. Exit code 3 when there is none.

    For example:

        decube snapshots get snap-20260131T120000000Z-1f2e3d4c -o yaml
    """
    print_snapshot(node.client().call("GET", snapshot_path(snapshot))["snapshot"], output)


@app.command
def verify(snapshot: str, /, *, node: Node = Node(), output: Output = "table") -> None:
    """Read a snapshot again and check every hash. Exit code 12 when it is damaged.

    For example:

        decube snapshots verify snap-20260131T120000000Z-1f2e3d4c
    """
    result = with_progress(node, snapshot, "verify", "verifying")
    if output == "table":
        rows = [
            ("valid", "yes" if result["valid"] else "no"),
            ("chunks", str(result["chunks_checked"])),
            ("read", size_text(result["bytes_checked"])),
            ("image", "checked" if result["image_checked"] else "not checked: there is no key"),
            *(("damaged", line) for line in result["errors"]),
        ]
        print_table(("WHAT", "RESULT"), rows)
    elif output == "name":
        print_line(f"snapshot/{result['id']}")
    else:
        print_object(result, output)
    if not result["valid"]:
        raise Damaged(f"snapshot {result['id']} is damaged: do not rely on it")


@app.command
def delete(
    *snapshots: str,
    ignore_not_found: Annotated[
        bool, Parameter(negative=(), help="An absent snapshot is no failure.")
    ] = False,
    yes: Yes = False,
    node: Node = Node(),
) -> None:
    """Delete snapshots with all their chunks. Exit code 3 when one was not there.

    Asks first on a terminal, and needs --yes where there is none.

    For example:

        decube snapshots delete snap-20260131T120000000Z-1f2e3d4c --yes
    """
    if not snapshots:
        raise Invalid("name at least one snapshot", field="snapshot")
    client = node.client()
    ids = list(map(bare_id, snapshots))
    confirm(f"delete {', '.join(ids)} at {client.address}", yes=yes)
    missing = []
    for snapshot in ids:
        if client.call("DELETE", snapshot_path(snapshot))["deleted"]:
            print_line(f"snapshot/{snapshot} deleted")
        else:
            missing.append(snapshot)
    if missing and not ignore_not_found:
        raise NotFound(f"no such snapshot: {', '.join(missing)}")


def _wait_until_completed(client: RestClient, snapshot_id: str) -> None:
    with progress_bar("creating", in_bytes=False) as report:
        while True:
            status = client.call("GET", f"{snapshot_path(snapshot_id)}/status")
            if status["phase"] == "failed":
                raise Internal(f"snapshot {snapshot_id} failed: {'; '.join(status['errors'])}")
            if status["phase"] != "creating":
                return
            report(status["progress"], PERCENT)
            pause()


def _tell(snapshot: Snapshot, verb: str, output: OutputFormat) -> None:
    if output == "table":
        print_line(f"snapshot/{snapshot['id']} {verb}")
    else:
        print_snapshot(snapshot, output)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f'--metadata "{text}" is not KEY=VALUE', field="metadata")
    return key, value
