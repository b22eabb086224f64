"""`decube replication`: who is primary, and changing that."""

from collections.abc import Mapping
from typing import Any

from cyclopts import App

from decube.cli.confirmation import Yes, confirm
from decube.cli.options import Node, Output
from decube.cli.output import OutputFormat, print_line, print_object, print_table

app = App(
    name="replication", help="See and change who is primary and who is standby.", version_flags=[]
)

_PATH = "/api/v1/replication"
_COLUMNS = ("NODE", "ADDRESS", "ROLE", "CONNECTED", "REVISION", "LAG")


@app.command
def status(*, node: Node = Node(), output: Output = "table") -> None:
    """Tell this node's role and term, and its peers.

    For example:

        decube replication status
        decube replication status --address http://10.0.0.6:8080 -o json
    """
    _print(node.client().call("GET", _PATH), output)


@app.command
def promote(*, yes: Yes = False, node: Node = Node(), output: Output = "table") -> None:
    """Make the standby that is asked the primary, in a new term.

    What the old primary has acknowledged and not replicated yet is lost to the others: it keeps
    that in a file, and says so, when it comes back as a standby. Exit code 5 when the node is no
    standby.

    For example:

        decube replication promote --address http://10.0.0.6:8080 --yes
    """
    client = node.client()
    confirm(f"make {client.address} the primary", yes=yes)
    _print(client.call("POST", f"{_PATH}/promote"), output)


@app.command
def demote(*, yes: Yes = False, node: Node = Node(), output: Output = "table") -> None:
    """Make the primary that is asked a standby: it writes no more, and follows the next primary.

    For a planned change: demote the primary, wait until no standby lags, promote one of them.
    Exit code 5 when the node is a standby.

    For example:

        decube replication demote --yes
    """
    client = node.client()
    confirm(f"stop writes on {client.address}", yes=yes)
    _print(client.call("POST", f"{_PATH}/demote"), output)


def _print(state: Mapping[str, Any], output: OutputFormat) -> None:
    if output == "name":
        print_line(f"role/{state['role']}")
        return
    if output != "table":
        print_object(state, output)
        return
    rows = [("role", state["role"]), ("term", state["term"]), ("revision", state["revision"])]
    if state["role"] == "standby":
        primary = state["primary"]
        rows.append(("primary", primary["address"] if primary else "not found yet"))
        rows.append(("lag", _seconds(state["lag_seconds"])))
    rows += [("unreplicated writes in", file) for file in state["tails"]]
    print_table(("WHAT", "VALUE"), [(what, str(value)) for what, value in rows])
    if state["peers"]:
        print_line("")
        print_table(_COLUMNS, [_row(peer) for peer in state["peers"]])


def _row(peer: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        peer["node_id"] or "?",
        peer["address"],
        peer["role"] if peer["last_heartbeat"] else "?",
        "yes" if peer["connected"] else f"no: {peer['error'] or 'not yet'}",
        *_progress(peer),
    )


def _progress(peer: Mapping[str, Any]) -> tuple[str, str]:
    if not peer["last_heartbeat"]:
        return "?", "?"
    # What one that is away had when it was last heard of. A primary lacks nothing.
    away = "" if peer["connected"] else ", or more"
    lag = "-" if peer["role"] == "primary" else _seconds(peer["lag_seconds"])
    return f"{peer['revision']}{away}", lag


def _seconds(value: float) -> str:
    return f"{value:.3f} s"
