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
    print_table(columns, [row_of(pod) for pod in pods])


def row_of(pod: Pod) -> tuple[str, ...]:
    """Return a pod's cells."""
    labels = ",".join(f"{key}={value}" for key, value in sorted((pod.get("labels") or {}).items()))
    names = ("namespace", "name", "status", "node_name")
    cells = [str(pod.get(name) or "-") for name in names]
    changed = str(pod.get("updated_at") or "-")
    return (*cells, labels or "-", changed, str(pod.get("resource_version") or "-"))


def print_pod(pod: Pod, output: OutputFormat) -> None:
    """Print one pod."""
    if output in ("json", "yaml"):
        print_object(pod, output)
    else:
        print_pods([pod], output)
