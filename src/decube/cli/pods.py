"""`decube pods`: pods by the REST API."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.failures import tell_error
from decube.cli.options import Node, Output
from decube.cli.paging import listed
from decube.cli.pods_file import FilePod, check_rules, read_pods
from decube.cli.pods_options import Fields, Scope, Selection
from decube.cli.pods_output import POD
from decube.cli.pods_watch import watch
from decube.cli.rest_client import PODS
from decube.kit.errors import AlreadyExists, Conflict, Invalid

app = App(name="pods", help="Create, read, change and watch pods.", version_flags=[])
app.command(watch)

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
    POD.print_listing(listed(node.client(), PODS, selection.query(), limit), output)


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
    query = {"namespace": scope.namespace}
    POD.print_one(node.client().call("GET", POD.path(name), query=query)["pod"], output)


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
) -> int:
    """Create a pod from options, or pods from a file. Exit code 4 when one exists.

    A file is checked as a whole before its first pod is created. Those that
    exist already are told and left as they are, and the others created.

    For example:

        decube pods create web --label app=nginx --status pending
        decube pods create -f pods.yaml
    """
    if bool(name) == (file is not None):
        raise Invalid("give either a name or --file", field="name")
    wanted = [FilePod({"name": POD.bare(name)}, "")] if file is None else read_pods(file)
    moved = {} if scope is None else {"namespace": scope.namespace}
    bodies = [{**pod.pod, **fields.applied_to(pod.pod), **moved} for pod in wanted]
    if file is not None:
        for pod, body in zip(wanted, bodies, strict=True):
            with pod.named_in_errors():
                check_rules(body)
    client = node.client()
    codes = []
    for pod, body in zip(wanted, bodies, strict=True):
        try:
            with pod.named_in_errors():
                created = client.call("POST", PODS, body=body)["pod"]
        except (AlreadyExists, Invalid) as error:
            codes.append(tell_error(error))
        else:
            POD.print_done(created, "created", output)
    return codes[0] if codes else 0


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
        current = client.call("GET", POD.path(name), query=query)["pod"]
        expected = resource_version or current["resource_version"]
        body = {**fields.applied_to(current), "resource_version": expected}
        try:
            updated = client.call("PUT", POD.path(name), query=query, body=body)["pod"]
        except Conflict:
            if resource_version or attempt == _UPDATE_TRIES_MAX:
                raise
        else:
            POD.print_done(updated, "updated", output)
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
    bare, client = POD.all_bare(names), node.client()
    query = {"namespace": scope.namespace}

    def delete_one(name: str) -> bool:
        return bool(client.call("DELETE", POD.path(name), query=query)["deleted"])

    place = f" in namespace {scope.namespace}"
    POD.delete_each(bare, delete_one, ignore_not_found=ignore_not_found, place=place)
