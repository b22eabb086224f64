"""The pods of a file: what `decube pods create -f` reads.

One pod, several documents, or a list under `pods`: also what `decube pods list -o yaml` printed, so
that what was read can be created again, elsewhere or later.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from decube.cli.pods_output import Pod
from decube.kit.errors import Invalid

# A pod that was read has them from its server; one to be created gets its own.
_SERVER_FIELDS = ("created_at", "updated_at", "resource_version", "uid", "generation")


class FilePod(NamedTuple):
    """A pod, and what it is called in messages."""

    pod: Pod
    place: str


def read_pods(file: Path) -> list[FilePod]:
    """Read the pods of a file; `-` is standard input. Raises `Invalid`."""
    import yaml

    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except OSError as error:
        raise Invalid(f"cannot read {name}: {error.strerror}", field="file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{name} is neither YAML nor JSON: {_why(error)}", field="file") from error
    found = list(_pods_of(documents))
    if not all(isinstance(pod, dict) for pod in found) or not (found or documents):
        raise Invalid(f"{name} holds no pods: write name: ..., labels: ...", field="file")
    return [
        FilePod(
            {key: value for key, value in pod.items() if key not in _SERVER_FIELDS},
            _place(name, number, pod) if len(found) > 1 else name,
        )
        for number, pod in enumerate(found, start=1)
    ]


def _why(error: Exception) -> str:
    """Say in one line where the text stops being YAML, which JSON is as well."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).partition("\n")[0]
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})"


def _pods_of(documents: Iterable[Any]) -> Iterator[Any]:
    for document in documents:
        several = document.get("pods") if isinstance(document, dict) else document
        if isinstance(several, list):
            yield from several
        else:
            yield document


def _place(name: str, number: int, pod: Pod) -> str:
    called = f" ({pod['name']})" if isinstance(pod.get("name"), str) else ""
    return f"{name}, pod {number}{called}"
