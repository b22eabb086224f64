"""`decube status`: one look at a node."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from decube.cli.options import Node, Output
from decube.cli.output import print_object, print_table

app = App(name="status", version_flags=[])

_ROWS = (
    ("version", "version"),
    ("leader", "is_leader"),
    ("leader address", "leader_addr"),
    ("role", "role"),
    ("REST", "address"),
    ("gRPC", "grpc_address"),
    ("etcd", "etcd_address"),
)


@app.default
def status(
    *,
    exclude: Annotated[
        Literal["NOSPACE"] | None,
        Parameter(help="An alarm that shall not count, for checks that restart the node."),
    ] = None,
    node: Node = Node(),
    output: Output = "table",
) -> int:
    """Tell how a node is. Exit 0 when it is healthy, 7 when it cannot be reached or is not.

    It is not when its store stopped writing, or the alarm NOSPACE is raised.

    For example:

        decube status
        DECUBE_ADDRESS=http://10.0.0.5:8080 decube status -o json
    """
    client = node.client()
    health = client.health({"exclude": exclude} if exclude else {})
    info = client.call("GET", "/node/info")
    healthy = health.get("status") == "healthy"
    if output == "name":
        print(f"node/{info.get('node_id', '')}")
    elif output == "table":
        rows = [("node", str(info.get("node_id", ""))), ("health", str(health.get("status", "")))]
        rows += [("reason", str(health["reason"]))] if health.get("reason") else []
        rows += [
            (title, _text(info[key])) for title, key in _ROWS if info.get(key) not in (None, "")
        ]
        print_table(("WHAT", "VALUE"), rows)
    else:
        print_object({**info, "health": health}, output)
    return 0 if healthy else 7


def _text(value: object) -> str:
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )
