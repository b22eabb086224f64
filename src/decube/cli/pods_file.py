"""The pods of a file: what `decube pods create -f` reads.

One pod, several documents, or a list under `pods`: also what `decube pods list -o yaml` printed, so
that what was read can be created again, elsewhere or later. What is wrong with any of them is found
before the first is created, so that a file that was corrected can be used again.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from decube.cli.pods_output import Pod
from decube.kit.errors import AlreadyExists, Invalid
from decube.model.names import NAMESPACE_DEFAULT

# A pod that was read has them from its server; one to be created gets its own.
_SERVER_FIELDS = ("created_at", "updated_at", "resource_version", "uid", "generation")
_TEXTS = ("name", "namespace", "status", "node_name")
_MAPS = ("labels", "annotations")


class FilePod(NamedTuple):
    """A pod, and what it is called in messages."""

    pod: Pod
    place: str

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Say which pod of which file an error is about; a server knows neither."""
        try:
            yield
        except (Invalid, AlreadyExists) as error:
            if self.place:
                error.message = f"{self.place}: {error.message}"
            raise


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
    pods = [
        FilePod(
            {key: value for key, value in pod.items() if key not in _SERVER_FIELDS},
            _place(name, number, pod) if len(found) > 1 else name,
        )
        for number, pod in enumerate(found, start=1)
    ]
    for pod in pods:
        with pod.named_in_errors():
            _check_shape(pod.pod)
    return pods


def check_rules(pod: Pod) -> None:
    """Check what a node would refuse in a pod of the right shape. Raises `Invalid`."""
    from decube.model import pod as model
    from decube.model.metadata import ObjectMeta

    model.check_pod(
        model.Pod(
            ObjectMeta(
                name=pod.get("name", ""),
                namespace=pod.get("namespace") or NAMESPACE_DEFAULT,
                labels=pod.get("labels", {}),
                annotations=pod.get("annotations", {}),
            ),
            model.PodSpec(pod.get("node_name", "")),
            model.PodStatus(pod.get("status", "")),
        )
    )


def _check_shape(pod: Pod) -> None:
    for key, value in pod.items():
        if key in _TEXTS:
            _check_text(key, value)
        elif key not in _MAPS:
            known = ", ".join(_TEXTS + _MAPS)
            raise Invalid(f'unknown field "{key}": known are {known}', field=str(key))
        elif not isinstance(value, dict):
            raise Invalid(f"{key}: write KEY: VALUE below it", field=key)
        else:
            for inner, text in value.items():
                _check_text(f"{key}.{inner}", inner)
                _check_text(f"{key}.{inner}", text)


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str):
        # YAML reads 1, true, 2026-01-31 and nothing at all as something else.
        raise Invalid(f'{field}: "{value}" is no text here: write it in quotes', field=field)


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
