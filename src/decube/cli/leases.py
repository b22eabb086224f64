"""`decube leases`: leases by the REST API."""

from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from decube.cli.leases_output import Lease, print_lease, print_leases
from decube.cli.leases_run import run
from decube.cli.options import Node, Output
from decube.cli.output import OutputFormat, print_line, print_object
from decube.cli.paging import listed
from decube.cli.rest_client import LEASES
from decube.cli.ttl import ttl_seconds
from decube.kit.errors import Invalid, NotFound

app = App(name="leases", help="Hold something for a time, alone.", version_flags=[])
app.command(run)

Metadata = Annotated[
    tuple[str, ...],
    Parameter(name=["--metadata", "-m"], negative=(), help="KEY=VALUE; may be repeated."),
]


@app.command
def create(
    holder: str,
    /,
    *,
    name: Annotated[str, Parameter(help="Grant it only while nobody else holds this name.")] = "",
    ttl: Annotated[str, Parameter(help="Seconds, or a duration like 5m.")] = "30s",
    metadata: Metadata = (),
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Grant a lease to a holder. Exit code 4 while another holder has the name.

    It ends unless it is renewed within its TTL. The holder that has the name
    already gets its lease again, renewed.

    For example:

        decube leases create scheduler-1 --ttl 1m -m purpose=leader-election
        decube leases create "$HOSTNAME" --name leader -o json
    """
    body = {
        "holder": holder,
        "name": name,
        "ttl_seconds": ttl_seconds(ttl),
        "metadata": dict(map(_pair, metadata)),
    }
    _tell(node.client().call("POST", LEASES, body=body)["lease"], "created", output)


@app.command(name="list")
def list_leases(
    *,
    holder: Annotated[str, Parameter(help="Only those of this holder.")] = "",
    name: Annotated[str, Parameter(help="Only the one that has this name.")] = "",
    limit: Annotated[int, Parameter(help="At most that many; 0 lists all.")] = 0,
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """List the leases that live.

    For example:

        decube leases list --holder scheduler-1
        decube leases list --name leader -o json
    """
    query = {key: value for key, value in (("holder", holder), ("name", name)) if value}
    leases = list(listed(node.client(), LEASES, query, limit))
    if output in ("json", "yaml"):
        print_object({"leases": leases, "count": len(leases)}, output)
    else:
        print_leases(leases, output)


@app.command
def get(lease: str, /, *, node: Node = Node(), output: Output = "table") -> None:
    """Read one lease. Exit code 3 when there is none, or it has ended.

    For example:

        decube leases get lease-694d9b2f6a1c3e07 -o yaml
    """
    print_lease(node.client().call("GET", _path(lease))["lease"], output)


@app.command
def renew(
    lease: str,
    /,
    *,
    ttl: Annotated[str, Parameter(help="From now on; by default as before.")] = "0",
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Let a lease run its whole TTL from now on. Exit code 3 when it has ended.

    For example:

        decube leases renew lease-694d9b2f6a1c3e07
        decube leases renew lease-694d9b2f6a1c3e07 --ttl 10m
    """
    body = {"ttl_seconds": ttl_seconds(ttl)}
    answer = node.client().call("POST", f"{_path(lease)}/renew", body=body)
    _tell(answer["lease"], "renewed", output)


@app.command
def delete(
    *leases: str,
    ignore_not_found: Annotated[
        bool, Parameter(negative=(), help="An absent lease is no failure.")
    ] = False,
    node: Node = Node(),
) -> None:
    """End leases. Exit code 3 when one was not there.

    For example:

        decube leases delete lease-694d9b2f6a1c3e07 --ignore-not-found
    """
    if not leases:
        raise Invalid("name at least one lease", field="lease")
    client = node.client()
    missing = []
    for lease in map(_bare, leases):
        if client.call("DELETE", _path(lease))["deleted"]:
            print_line(f"lease/{lease} deleted")
        else:
            missing.append(lease)
    if missing and not ignore_not_found:
        raise NotFound(f"no such lease: {', '.join(missing)}")


def _tell(lease: Lease, verb: str, output: OutputFormat) -> None:
    if output == "table":
        print_line(f"lease/{lease['id']} {verb}")
    else:
        print_lease(lease, output)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f'--metadata "{text}" is not KEY=VALUE', field="metadata")
    return key, value


def _bare(lease: str) -> str:
    """Return a lease's id as typed, or as `-o name` prints it."""
    bare = lease.removeprefix("lease/")
    if not bare or "/" in bare:
        raise Invalid(
            f'"{lease}" is not the id of a lease: write lease-... or lease/lease-...', field="lease"
        )
    return bare


def _path(lease: str) -> str:
    return f"{LEASES}/{quote(_bare(lease), safe='')}"
