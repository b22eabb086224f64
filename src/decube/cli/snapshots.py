"""`decube snapshots`: snapshots by the REST API, and restoring where there is no node."""

from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.confirmation import Yes, confirm
from decube.cli.options import Metadata, Node, Output, metadata_of
from decube.cli.output import print_line, print_object, print_table
from decube.cli.paging import listed
from decube.cli.progress import pause, progress_bar
from decube.cli.rest_client import SNAPSHOTS, RestClient, told_error
from decube.cli.snapshots_archive import download, upload
from decube.cli.snapshots_output import SNAPSHOT, size_text
from decube.cli.snapshots_progress import PERCENT, with_progress
from decube.cli.snapshots_restore import restore
from decube.kit.errors import Damaged

app = App(name="snapshots", help="Take, check and restore snapshots.", version_flags=[])
app.command(restore)
app.command(download)
app.command(upload)

_IMAGE = {True: "checked", False: "not checked: there is no key"}


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
    body = {"name": name, "metadata": metadata_of(metadata)}
    # Polling holds no connection for as long as a large snapshot takes.
    begun = client.call("POST", SNAPSHOTS, query={"wait": "false"}, body=body)["snapshot"]
    if not wait:
        SNAPSHOT.print_done(begun, "begun", output)
        return
    _wait_until_completed(client, begun["id"])
    created = client.call("GET", SNAPSHOT.path(begun["id"]))["snapshot"]
    SNAPSHOT.print_done(created, "created", output)


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
    SNAPSHOT.print_listing(listed(node.client(), SNAPSHOTS, {}, limit), output)


@app.command
def get(snapshot: str, /, *, node: Node = Node(), output: Output = "table") -> None:
    """Read one snapshot. Exit code 3 when there is none.

    For example:

        decube snapshots get snap-20260131T120000000Z-1f2e3d4c -o yaml
    """
    SNAPSHOT.print_one(node.client().call("GET", SNAPSHOT.path(snapshot))["snapshot"], output)


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
            *([("image", _IMAGE[result["image_checked"]])] if result["valid"] else []),
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
    ids, client = SNAPSHOT.all_bare(snapshots), node.client()
    confirm(f"delete {', '.join(ids)} at {client.address}", yes=yes)

    def delete_one(snapshot: str) -> bool:
        return bool(client.call("DELETE", SNAPSHOT.path(snapshot))["deleted"])

    SNAPSHOT.delete_each(ids, delete_one, ignore_not_found=ignore_not_found)


def _wait_until_completed(client: RestClient, snapshot_id: str) -> None:
    with progress_bar("creating", in_bytes=False) as report:
        while True:
            status = client.call("GET", f"{SNAPSHOT.path(snapshot_id)}/status")
            if status["phase"] == "failed":
                reason = "; ".join(status["errors"])
                code = str(status.get("error_code", ""))
                raise told_error(code, f"snapshot {snapshot_id} failed: {reason}")
            if status["phase"] != "creating":
                return
            report(status["progress"], PERCENT)
            pause()
