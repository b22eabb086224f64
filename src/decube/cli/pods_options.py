"""The options of `decube pods`: which pods, and what they shall have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from decube.cli.pods_output import Pod
from decube.kit.errors import Invalid


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which namespace."""

    namespace: Annotated[
        str, Parameter(name=["--namespace", "-n"], help="The namespace it is in.")
    ] = "default"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which pods of which namespaces."""

    namespace: Annotated[
        str, Parameter(name=["--namespace", "-n"], help="The namespace they are in.")
    ] = "default"
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
