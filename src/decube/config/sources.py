"""Where settings come from: the file, the environment, the flags. Read here, converted in `load`.

Each source yields what was given by key, with its origin in words, and the problems that show
without looking at types: unknown names, and shapes that are not the settings'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from decube.config.keys import ENVIRONMENT_PREFIX, keys, nearest, sections
from decube.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import yaml

# Read by the client commands, not by the node.
CLIENT_VARIABLES: Final = {
    "DECUBE_ADDRESS": "the REST API that client commands call (`--address`)",
    "DECUBE_CACERT": "the CA that client commands trust (`--cacert`)",
    "DECUBE_CERT": "the certificate that client commands show (`--cert`)",
    "DECUBE_CONFIG": "the configuration file of `decube up` and `decube config` (`--config`)",
    "DECUBE_ENDPOINTS": "the etcd endpoints that `decube kv` calls (`--endpoints`)",
    "DECUBE_KEY": "the private key of that certificate (`--key`)",
    "DECUBE_LEASE_ID": "tells a command under `decube leases run` its lease",
    "DECUBE_FENCING_TOKEN": "tells it that lease's fencing token",
}
# Kubernetes sets these in every pod beside a Service that is called `decube`.
_KUBERNETES_SERVICE: Final = re.compile(
    r"DECUBE_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was given. `textual` ones (environment, flags) are converted from text."""

    raw: object
    origin: str
    textual: bool = False


@dataclass(slots=True)
class Source:
    """What one source gives, and what is wrong with it."""

    given: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_file(path: Path) -> Source:
    """Read a YAML file in the shape of the settings.

    Raises `Invalid` when it cannot be read at all.
    """
    import yaml  # noqa: PLC0415 - a node without a file does not pay for it

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(
            f"cannot read the configuration file {path}: {error.strerror}; "
            "check --config, or leave it out for the defaults",
            field="config",
        ) from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8 text", field="config") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise Invalid(f"{path} is not valid YAML: {_yaml_reason(error)}", field="config") from error
    source = Source()
    if root is not None:
        _read_section(source, path, "", root)
    return source


def read_environment(environment: Mapping[str, str]) -> Source:
    """Read the `DECUBE_...` variables."""
    source = Source()
    by_variable = {key.variable: key for key in keys().values()}
    for variable in sorted(environment):
        if variable in by_variable:
            raw = environment[variable]
            source.given[by_variable[variable].path] = Given(raw, variable, textual=True)
        elif (
            variable.startswith(ENVIRONMENT_PREFIX)
            and variable not in CLIENT_VARIABLES
            and not _KUBERNETES_SERVICE.fullmatch(variable)
        ):
            hint = _did_you_mean(variable, [*by_variable, *CLIENT_VARIABLES], ENVIRONMENT_PREFIX)
            source.problems.append(f"{variable}: no such setting{hint}")
    return source


def read_flags(flags: Iterable[tuple[str, str, str]]) -> Source:
    """Read flags: each the key it sets, its text, and how the flag is called."""
    source = Source()
    for path, raw, flag in flags:
        if path in keys():
            source.given[path] = Given(raw, flag, textual=True)
        else:
            hint = _did_you_mean(path, keys())
            source.problems.append(f"{flag}: no such setting {path}{hint}")
    return source


def _read_section(source: Source, path: Path, prefix: str, node: yaml.Node) -> None:
    import yaml  # noqa: PLC0415

    where = f"{path}:{node.start_mark.line + 1}"
    if _is_null(node):
        return
    if not isinstance(node, yaml.MappingNode):
        name = prefix.removesuffix(".") or "the file"
        source.problems.append(f"{name}: expected keys with values ({where})")
        return
    seen: set[str] = set()
    for name_node, value_node in node.value:
        name = str(name_node.value)
        full = prefix + name
        where = f"{path}:{name_node.start_mark.line + 1}"
        if name in seen:
            source.problems.append(f"{full}: given twice ({where})")
        elif full in sections():
            _read_section(source, path, full + ".", value_node)
        elif full not in keys():
            hint = _did_you_mean(full, [*keys(), *sections()])
            source.problems.append(f"{full}: no such setting ({where}){hint}")
        elif not _is_null(value_node):
            source.given[full] = Given(_plain(value_node), where)
        seen.add(name)


def _plain(node: yaml.Node) -> Any:  # noqa: ANN401 - what YAML holds
    """Make plain Python values of a YAML node."""
    import yaml  # noqa: PLC0415

    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except yaml.YAMLError:
        return node.value
    finally:
        loader.dispose()


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1})" if mark is not None else str(problem)


def _did_you_mean(wrong: str, valid: Iterable[str], prefix: str = "") -> str:
    # A prefix that all have in common would make everything look alike.
    near = nearest(wrong.removeprefix(prefix), [name.removeprefix(prefix) for name in valid])
    return f"; did you mean {prefix}{near}?" if near else "; `decube config default` lists them all"
