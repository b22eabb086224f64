"""`decube pods`: pods by the REST API."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from cyclopts import App, Parameter

from decube.cli.options import Node, Output
from decube.cli.output import OutputFormat, print_line, print_object, print_table
from decube.cli.rest_client import RestClient
from decube.kit.errors import Conflict, Invalid, NotFound

app = App(name="pods", help="Create, read, change and watch pods.", version_flags=[])
app.command("decube.cli.pods_watch:app", name="watch", help="Print changes as they happen.")

PODS = "/api/v1/pods"
_PAGE_PODS = 500
_UPDATE_TRIES_MAX = 5

Pod = dict[str, Any]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which namespace."""

    namespace: Annotated[str, Parameter(name=["--namespace", "-n"])] = "default"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which pods of which namespaces."""

    namespace: Annotated[str, Parameter(name=["--namespace", "-n"])] = "default"
    all_namespaces: Annotated[
        bool, Parameter(name=["--all-namespaces", "-A"], negative=(), help="Of all namespaces.")
    ] = False
    selector: Annotated[
        str,
        Parameter(name=["--selector", "-l"], help="By label: app=web,tier in (a,b),!old."),
    ] = ""

    def query(self) -> dict[str, str]:
        """Return it as the API takes it."""
        query = {"namespace": "*" if self.all_namespaces else self.namespace}
        return {**query, "label_selector": self.selector} if self.selector else query


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Fields:
    """What a pod shall have. What is not given is left as it is."""

    status: Annotated[str | None, Parameter(help="Its status, in a word.")] = None
    node_name: Annotated[str | None, Parameter(help="The node it is on.")] = None
    label: Annotated[
        tuple[str, ...],
        Parameter(name=["--label", "-L"], negative=(), help="KEY=VALUE sets one, KEY- removes it."),
    ] = ()
    annotation: Annotated[
        tuple[str, ...], Parameter(negative=(), help="KEY=VALUE sets one, KEY- removes it.")
    ] = ()

    def applied_to(self, pod: Pod) -> Pod:
        """Return the changed fields of a pod."""
        changed: Pod = {}
        if self.status is not None:
            changed["status"] = self.status
        if self.node_name is not None:
            changed["node_name"] = self.node_name
        for name, edits in (("labels", self.label), ("annotations", self.annotation)):
            if edits:
                changed[name] = _edited(pod.get(name) or {}, edits, f"--{name.removesuffix('s')}")
        return changed


@app.command(name="list")
def list_pods(
    *,
    selection: Selection = Selection(),
    limit: Annotated[int, Parameter(help="At most that many; 0 lists all.")] = 0,
    node: Node = Node(),  # noqa: B008
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
    node: Node = Node(),  # noqa: B008
    output: Output = "table",
) -> None:
    """Read one pod. Exit code 3 when there is none.

    For example:

        decube pods get nginx-pod -o yaml
    """
    pod = node.client().call("GET", _path(name), query={"namespace": scope.namespace})["pod"]
    _print_pod(pod, output)


@app.command
def create(
    name: str = "",
    /,
    *,
    file: Annotated[
        Path | None, Parameter(name=["--file", "-f"], help="YAML or JSON; - is standard input.")
    ] = None,
    scope: Scope | None = None,
    fields: Fields = Fields(),
    node: Node = Node(),  # noqa: B008
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
    node: Node = Node(),  # noqa: B008
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
    node: Node = Node(),  # noqa: B008
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


def _print_pod(pod: Pod, output: OutputFormat) -> None:
    if output in ("json", "yaml"):
        print_object(pod, output)
    else:
        print_pods([pod], output)


def _tell(pod: Pod, verb: str, output: OutputFormat) -> None:
    if output == "table":
        print_line(f"pod/{pod['name']} {verb}")
    else:
        _print_pod(pod, output)


def _edited(current: dict[str, str], edits: Sequence[str], option: str) -> dict[str, str]:
    result = dict(current)
    for edit in edits:
        key, equals, value = edit.partition("=")
        if equals:
            result[key] = value
        elif edit.endswith("-"):
            result.pop(edit.removesuffix("-"), None)
        else:
            raise Invalid(f'{option} "{edit}" is neither KEY=VALUE nor KEY-', field=option)
    return result


def _path(name: str) -> str:
    return f"{PODS}/{quote(name, safe='')}"
