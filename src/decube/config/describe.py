"""The settings in words: the reference page, a file of the defaults, the JSON schema, the values.

All derived from the table of keys; docs/configuration.md is `reference()`, held to it by a test.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from decube.config.keys import Key, keys, sections
from decube.config.load import value_of
from decube.config.sources import CLIENT_VARIABLES
from decube.kit.addresses import Address
from decube.kit.durations import Duration

if TYPE_CHECKING:
    from decube.config.load import Loaded

MASK: Final = "********"

_TYPE_NAMES: Final = {
    str: "text",
    int: "integer",
    bool: "boolean",
    Duration: "duration",
    Address: "address",
}

_HEAD: Final = """\
# Configuration

<!-- Generated from src/decube/config/settings.py by tools/gendocs.py; do not edit. -->

`decube up` takes its settings from, each overriding the one before:

1. the defaults below,
2. a YAML file: `--config FILE` or `DECUBE_CONFIG`,
3. the environment: a key in capitals, dots as underscores, after `DECUBE_`; a list goes by commas,
4. flags: those of `decube up`, and `--set KEY=VALUE` for any key.

A key or variable that does not exist is refused by name, and so is a bad value. A key that exists
and has no effect, for now or beside the others, is named in one warning at the start with the
reason. `decube config show` tells each value
and where it came from, `decube config check` only whether all is well, `decube config default`
prints a file with all defaults, `decube config schema` a JSON schema for editors.

Durations are Go's: `1h30m`, `5s`, `100ms`, `0`. Addresses are `host:port`; `:8080` listens on all
interfaces, port 0 takes a free one (the addresses in use are in `node.json` in the data directory).
The defaults listen on this machine only. Listening wider without TLS, or without asking clients for
certificates, is warned about: [howto/tls.md](howto/tls.md).
"""


def type_name(key: Key) -> str:
    """Return a key's type in words."""
    kind = key.bare_type
    choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
    if choices:
        return " \\| ".join(f"`{choice}`" for choice in choices)
    return f"list: {_TYPE_NAMES[get_args(kind)[0]]}" if key.is_list else _TYPE_NAMES[kind]


def plain(value: object) -> Any:  # noqa: ANN401 - what JSON and YAML hold
    """Return a setting as the file would hold it."""
    if isinstance(value, Duration):
        return value.short
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def reference() -> str:
    """Return docs/configuration.md."""
    parts = [_HEAD]
    for section, struct in sections().items():
        rows = [key for key in keys().values() if key.path.rpartition(".")[0] == section]
        if not rows:
            continue
        parts.append(f"\n## {section}\n\n{struct.__doc__}\n\n")
        parts.append("| key | type | default | meaning |\n|---|---|---|---|\n")
        for key in rows:
            default = json.dumps(plain(key.default), ensure_ascii=False)
            meaning = key.description
            if key.no_effect is not None:
                meaning += f" *No effect: {key.no_effect}.*"
            parts.append(f"| `{key.path}` | {type_name(key)} | `{default}` | {meaning} |\n")
    parts.append("\n## Variables that are no settings\n\n| variable | meaning |\n|---|---|\n")
    parts += [f"| `{name}` | {meaning} |\n" for name, meaning in CLIENT_VARIABLES.items()]
    parts.append(
        "\n`DECUBE_SERVICE_HOST`, `DECUBE_PORT...` and their like, which Kubernetes sets beside a\n"
        "Service called `decube`, are let pass.\n"
    )
    return "".join(parts)


def default_file() -> str:
    """Return a file with every key at its default, each explained."""
    lines = ["# All settings at their defaults. Keep what you change, delete the rest."]
    for section, struct in sections().items():
        depth = section.count(".")
        lines.append("")
        lines.append("  " * depth + f"{section.rpartition('.')[2]}:  # {struct.__doc__}")
        indent = "  " * (depth + 1)
        for key in keys().values():
            parent, _, name = key.path.rpartition(".")
            if parent == section:
                lines.append(f"{indent}# {key.description}")
                lines.append(f"{indent}{name}: {json.dumps(plain(key.default))}")
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "DeCube configuration",
        **_object(
            "The configuration file of decube up. What is left out has its default; "
            "environment variables (DECUBE_...) and flags override the file."
        ),
    }
    places = {"": root}
    for section, struct in sections().items():
        parent, _, name = section.rpartition(".")
        places[section] = places[parent]["properties"][name] = _object(struct.__doc__)
    for key in keys().values():
        section, _, name = key.path.rpartition(".")
        one = msgspec.json.schema(key.annotation, schema_hook=_schema_of)
        places[section]["properties"][name] = {**one, "default": plain(key.default)}
    return root


def _object(description: str | None) -> dict[str, Any]:
    # A section without keys is read as null by YAML, and is fine.
    return {
        "type": ["object", "null"],
        "description": description,
        "additionalProperties": False,
        "properties": {},
    }


def shown(loaded: Loaded, *, changed_only: bool = False) -> dict[str, tuple[Any, str]]:
    """Return each key's value, secrets masked, and its origin; or those that are no default."""
    result = {}
    for path, key in keys().items():
        value = plain(value_of(loaded.settings, path))
        if changed_only and value == plain(key.default):
            continue
        result[path] = (MASK if key.secret and value else value, loaded.origins[path])
    return result


def nested(loaded: Loaded, *, changed_only: bool = False) -> dict[str, Any]:
    """Return the values in the shape of the file, secrets masked."""
    root: dict[str, Any] = {}
    for path, (value, _) in shown(loaded, changed_only=changed_only).items():
        place = root
        *parents, name = path.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return root


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is Duration:
        return {"type": "string", "examples": ["1h30m", "5s", "100ms", "0"]}
    if kind is Address:
        return {"type": "string", "examples": ["127.0.0.1:8080", "[::1]:8080", ":8080"]}
    raise NotImplementedError(kind)
