"""`decube pods`: pods by the REST API."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from decube.cli.options import Node, Output
from decube.cli.output import OutputFormat, print_line, print_object
from decube.cli.pods_options import Fields, Scope, Selection
from decube.cli.pods_output import Pod, print_pod, print_pods
from decube.cli.pods_watch import watch
from decube.cli.rest_client import PODS, RestClient
from decube.kit.errors import Conflict, Invalid, NotFound

app = App(name="pods", help="Create, read, change and watch pods.", version_flags=[])
app.command(watch)

_PAGE_PODS = 500
_UPDATE_TRIES_MAX = 5


@app.command(name="list")
def list_pods(
    *,
    selection: Selection = Selection(),
    limit: Annotated[int, Parameter(help="At most that many; 0 lists all.")] = 0,
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """List pods.

    For example:

        decube pods list -A
        decube pods list -l app=nginx -o name
    """
    pods = list(_listed(node.client(), selection.query(), limit))
    if output in ("json", "yaml"):
        print_object({"pods": pods, "count": len(pods)}, output)
    else:
        print_pods(pods, output)


@app.command
def get(
    name: str,
    /,
    *,
    scope: Scope = Scope(),
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Read one pod. Exit code 3 when there is none.

    For example:

        decube pods get nginx-pod -o yaml
    """
    pod = node.client().call("GET", _path(name), query={"namespace": scope.namespace})["pod"]
    print_pod(pod, output)


@app.command
def create(
    name: str = "",
    /,
    *,
    file: Annotated[
        Path | None,
        Parameter(
            name=["--file", "-f"],
            allow_leading_hyphen=True,
            help="YAML or JSON; - is standard input.",
        ),
    ] = None,
    scope: Scope | None = None,
    fields: Fields = Fields(),
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Create a pod from options, or pods from a file. Exit code 4 when one exists.

    For example:

        decube pods create web --label app=nginx --status pending
        decube pods create -f pods.yaml
    """
    if bool(name) == (file is not None):
        raise Invalid("give either a name or --file", field="name")
    wanted: Sequence[Pod] = [{"name": name}] if file is None else _read_pods(file)
    client = node.client()
    for pod in wanted:
        body = {**pod, **fields.applied_to(pod)}
        if scope is not None:
            body["namespace"] = scope.namespace
        created = client.call("POST", PODS, body=body)["pod"]
        _tell(created, "created", output)


@app.command
def update(
    name: str,
    /,
    *,
    fields: Fields = Fields(),
    resource_version: Annotated[
        str, Parameter(help="Only if this is still its version, else exit code 5.")
    ] = "",
    scope: Scope = Scope(),
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Change fields of a pod; labels and annotations that are not named stay.

    For example:

        decube pods update web --status running --label tier=front --label old-
    """
    if not fields.applied_to({"labels": {}}):
        raise Invalid("nothing to change: give --status, --node-name, --label or --annotation")
    client = node.client()
    query = {"namespace": scope.namespace}
    for attempt in range(1, _UPDATE_TRIES_MAX + 1):
        # Labels are edited on what is there, so the write is made only if that is still so.
        current = client.call("GET", _path(name), query=query)["pod"]
        expected = resource_version or current["resource_version"]
        body = {**fields.applied_to(current), "resource_version": expected}
        try:
            updated = client.call("PUT", _path(name), query=query, body=body)["pod"]
        except Conflict:
            if resource_version or attempt == _UPDATE_TRIES_MAX:
                raise
        else:
            _tell(updated, "updated", output)
            return


@app.command
def delete(
    *names: str,
    scope: Scope = Scope(),
    ignore_not_found: Annotated[
        bool, Parameter(negative=(), help="An absent pod is no failure.")
    ] = False,
    node: Node = Node(),
) -> None:
    """Delete pods. Exit code 3 when one was not there.

    For example:

        decube pods delete web worker --ignore-not-found
    """
    if not names:
        raise Invalid("name at least one pod", field="name")
    client = node.client()
    missing = []
    for name in names:
        answer = client.call("DELETE", _path(name), query={"namespace": scope.namespace})
        if answer["deleted"]:
            print_line(f"pod/{name} deleted")
        else:
            missing.append(name)
    if missing and not ignore_not_found:
        raise NotFound(f"no such pod in namespace {scope.namespace}: {', '.join(missing)}")


def _listed(client: RestClient, query: dict[str, str], limit: int) -> Iterator[Pod]:
    """Follow the pages; all of them show one revision."""
    left = limit
    token = ""
    while True:
        page_size = min(left, _PAGE_PODS) if limit else _PAGE_PODS
        page_query = {**query, "limit": str(page_size)}
        page = client.call(
            "GET", PODS, query={**page_query, "continue": token} if token else page_query
        )
        yield from page["pods"]
        left -= len(page["pods"])
        token = page.get("continue") or ""
        if not token or (limit and left <= 0):
            return


def _read_pods(file: Path) -> list[Pod]:
    """Read the pods of a file: one, several documents, or a list under `pods`."""
    import yaml

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except OSError as error:
        raise Invalid(f"cannot read {file}: {error.strerror}", field="file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is neither YAML nor JSON: {error}", field="file") from error
    pods: list[Pod] = []
    for document in documents:
        several = document.get("pods") if isinstance(document, dict) else document
        pods += several if isinstance(several, list) else [document]
    if not pods or not all(isinstance(pod, dict) for pod in pods):
        raise Invalid(f"{file} holds no pods: write name: ..., labels: ...", field="file")
    return pods


def _tell(pod: Pod, verb: str, output: OutputFormat) -> None:
    if output == "table":
        print_line(f"pod/{pod['name']} {verb}")
    else:
        print_pod(pod, output)


def _path(name: str) -> str:
    return f"{PODS}/{quote(name, safe='')}"
