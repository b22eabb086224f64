"""`decube leases`: leases by the REST API."""

from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.leases_output import LEASE
from decube.cli.leases_run import run
from decube.cli.options import Metadata, Node, Output, metadata_of
from decube.cli.paging import listed
from decube.cli.rest_client import LEASES
from decube.cli.ttl import lease_ttl_seconds

app = App(name="leases", help="Hold something for a time, alone.", version_flags=[])
app.command(run)


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
        "ttl_seconds": lease_ttl_seconds(ttl),
        "metadata": metadata_of(metadata),
    }
    created = node.client().call("POST", LEASES, body=body)["lease"]
    LEASE.print_done(created, "created", output)


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
    LEASE.print_listing(listed(node.client(), LEASES, query, limit), output)


@app.command
def get(lease: str, /, *, node: Node = Node(), output: Output = "table") -> None:
    """Read one lease. Exit code 3 when there is none, or it has ended.

    For example:

        decube leases get lease-694d9b2f6a1c3e07 -o yaml
    """
    LEASE.print_one(node.client().call("GET", LEASE.path(lease))["lease"], output)


@app.command
def renew(
    lease: str,
    /,
    *,
    ttl: Annotated[str, Parameter(help="From now on; by default as before.")] = "",
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Let a lease run its whole TTL from now on. Exit code 3 when it has ended.

    For example:

        decube leases renew lease-694d9b2f6a1c3e07
        decube leases renew lease-694d9b2f6a1c3e07 --ttl 10m
    """
    body = {"ttl_seconds": lease_ttl_seconds(ttl)} if ttl else {}
    answer = node.client().call("POST", f"{LEASE.path(lease)}/renew", body=body)
    LEASE.print_done(answer["lease"], "renewed", output)


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
    ids, client = LEASE.all_bare(leases), node.client()

    def end(lease: str) -> bool:
        return bool(client.call("DELETE", LEASE.path(lease))["deleted"])

    LEASE.delete_each(ids, end, ignore_not_found=ignore_not_found)
