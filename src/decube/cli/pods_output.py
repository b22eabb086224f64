"""How pods are printed."""

from collections.abc import Sequence
from typing import Any

from decube.cli.output import OutputFormat, print_line, print_object, print_table

Pod = dict[str, Any]


def print_pods(pods: Sequence[Pod], output: OutputFormat) -> None:
    """Print pods as a table, or their names."""
    if output == "name":
        for pod in pods:
            print_line(f"pod/{pod['name']}")
        return
    columns = ("NAMESPACE", "NAME", "STATUS", "NODE", "LABELS", "UPDATED", "VERSION")
    print_table(columns, [[cells_of(pod)[column] for column in columns] for pod in pods])


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


def print_pod(pod: Pod, output: OutputFormat) -> None:
    """Print one pod."""
    if output in ("json", "yaml"):
        print_object(pod, output)
    else:
        print_pods([pod], output)
