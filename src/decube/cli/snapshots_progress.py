"""Calls about one snapshot that take long, with a bar that tells how far the node is."""

from typing import Any, Final

from decube.cli.options import Node
from decube.cli.progress import progress_bar, run_meanwhile
from decube.cli.rest_client import RestClient
from decube.cli.snapshots_output import SNAPSHOT

LONG_S: Final = 6 * 3600.0
"""How long a request that reads a whole snapshot may take."""
PERCENT: Final = 100.0


def with_progress(
    node: Node, snapshot: str, verb: str, doing: str, body: object = None
) -> dict[str, Any]:
    """Do something with a snapshot that takes as long as it takes, and draw how far it is."""
    client, path = node.client(), SNAPSHOT.path(snapshot)
    client.call("GET", path)  # a node or a snapshot that is not there is told without waiting
    patient = RestClient(node.address, LONG_S, node)
    with progress_bar(doing, in_bytes=False) as report:

        def look() -> None:
            status = client.call("GET", f"{path}/status")
            if status["phase"] == doing:
                report(status["progress"], PERCENT)

        result: dict[str, Any] = run_meanwhile(
            lambda: patient.call("POST", f"{path}/{verb}", body=body), look
        )
    return result
