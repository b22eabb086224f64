"""What a pod is on the command line."""

from typing import Final

from decube.cli.nouns import Noun, Object
from decube.cli.rest_client import PODS

Pod = Object

_COLUMNS: Final = ("NAMESPACE", "NAME", "STATUS", "NODE", "LABELS", "UPDATED", "VERSION")


def cells_of(pod: Pod) -> dict[str, str]:
    """Return a pod's cells by column."""
    labels = ",".join(f"{key}={value}" for key, value in sorted((pod.get("labels") or {}).items()))
    cells = {
        "NAMESPACE": pod.get("namespace"),
        "NAME": pod.get("name"),
        "STATUS": pod.get("status"),
        "NODE": pod.get("node_name"),
        "LABELS": labels,
        "UPDATED": pod.get("updated_at"),
        "VERSION": pod.get("resource_version"),
    }
    return {column: str(cell or "-") for column, cell in cells.items()}


def _row(pod: Pod) -> list[str]:
    cells = cells_of(pod)
    return [cells[column] for column in _COLUMNS]


POD: Final = Noun(
    name="pod",
    route=PODS,
    identity="name",
    form="NAME",
    columns=_COLUMNS,
    row=_row,
    keys="/decube/pods/",
)
