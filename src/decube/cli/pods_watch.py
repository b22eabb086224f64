"""`decube pods watch`: changes as they happen, across restarts of the server.

A stream that breaks is taken up again from the last resource version told. When that history is
gone (`compacted`), or the stream broke before it told one, the watch starts anew and tells only the
difference to what was told before, so that nothing is repeated and no deletion is missed.
"""

import json
import threading
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from decube.cli.failures import tell
from decube.cli.options import Node, Output
from decube.cli.output import print_line, write_bytes
from decube.cli.pods_options import Selection
from decube.cli.pods_output import Pod
from decube.cli.pods_watch_table import ChangeTable
from decube.cli.rest_client import PODS, RestClient
from decube.kit.errors import Compacted, Unavailable

Change = tuple[Literal["ADDED", "MODIFIED", "DELETED"], Pod]


def watch(
    *,
    selection: Selection = Selection(),
    only_changes: Annotated[
        bool, Parameter(negative=(), help="Leave out the pods that are there at the start.")
    ] = False,
    node: Node = Node(),
    output: Output = "table",
) -> None:
    """Print the pods and then every change as it happens, until Ctrl-C.

    For example:

        decube pods watch
        decube pods watch -A -l app=nginx -o json
    """
    following = Following(node.client(), selection.query())
    table = ChangeTable(all_namespaces=selection.all_namespaces)
    if output == "table":
        table.print_head()
    for change in following.changes(only_changes=only_changes):
        if output == "table":
            table.print_change(*change)
        else:
            _print_change(change, output)


class Following:
    """One watch over however many streams it takes."""

    def __init__(self, client: RestClient, query: dict[str, str]) -> None:
        self._client = client
        self._query = query
        self._version = ""  # resume from here; empty: start anew
        self._told: dict[tuple[str, str], Pod] = {}
        self._started = False

    def changes(self, *, only_changes: bool) -> Iterator[Change]:
        """Yield the changes, for ever. Raises `Unavailable` only if the first connection fails."""
        from decube.kit.backoff import Backoff, BackoffPolicy

        # Somebody sits before it and waits for the server to come back.
        backoff = Backoff(BackoffPolicy(max_s=2.0))
        while True:
            try:
                for change in self._one_stream():
                    backoff.reset()
                    if self._started or not only_changes:
                        yield change
                tell("the server ended the watch; taking it up again")
            except Compacted:
                tell("the history since the last change is gone; comparing with the present pods")
                self._version = ""
            except Unavailable as error:
                if not self._started:
                    raise
                tell(f"{error.message}; trying again")
            threading.Event().wait(backoff.next_delay_s())

    def _one_stream(self) -> Iterator[Change]:
        query = {**self._query, "watch": "true"}
        if self._version:
            query["resource_version"] = self._version
        anew: set[tuple[str, str]] | None = None if self._version else set()
        with self._client.stream(PODS, query) as lines:
            for line in lines:
                if line["type"] == "BOOKMARK":
                    if anew is not None:
                        yield from self._vanished(anew)
                        anew = None
                    self._started = True
                    self._version = line["resource_version"]
                    continue
                pod = line["pod"]
                if anew is None:
                    self._version = line["resource_version"]
                    yield self._note(line["type"], pod)
                else:
                    anew.add(_key(pod))
                    yield from self._difference(pod)

    def _note(self, kind: Literal["ADDED", "MODIFIED", "DELETED"], pod: Pod) -> Change:
        if kind == "DELETED":
            self._told.pop(_key(pod), None)
        else:
            self._told[_key(pod)] = pod
        return kind, pod

    def _difference(self, pod: Pod) -> Iterator[Change]:
        """Tell a pod of the present state if it is not as it was told last."""
        known = self._told.get(_key(pod))
        if known is None:
            yield self._note("ADDED", pod)
        elif known["uid"] != pod["uid"]:
            yield self._note("DELETED", known)
            yield self._note("ADDED", pod)
        elif known["resource_version"] != pod["resource_version"]:
            yield self._note("MODIFIED", pod)

    def _vanished(self, present: set[tuple[str, str]]) -> Iterator[Change]:
        for key in [key for key in self._told if key not in present]:
            yield self._note("DELETED", self._told[key])


def _key(pod: Pod) -> tuple[str, str]:
    return pod["namespace"], pod["name"]


def _print_change(change: Change, output: str) -> None:
    kind, pod = change
    if output == "json":
        line: dict[str, Any] = {"type": kind, "pod": pod}
        print_line(json.dumps(line, ensure_ascii=False))
    elif output == "yaml":
        import yaml

        document = yaml.safe_dump({"type": kind, "pod": pod}, sort_keys=False, allow_unicode=True)
        write_bytes(b"---\n" + document.encode())
    else:
        print_line(f"pod/{pod['name']}")
