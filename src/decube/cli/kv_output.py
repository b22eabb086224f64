"""How `decube kv` prints keys, values and changes."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from decube.cli.arguments import shown
from decube.cli.output import print_line, print_object, print_table, write_bytes
from decube.store.types import Event, KeyValue, Revision, lease_text

KvOutput = Annotated[
    Literal["simple", "json", "yaml"],
    Parameter(name=["--output", "-o"], help="Form of what is printed."),
]
PrintKvOutput = Annotated[
    Literal["simple", "table", "json", "yaml", "name"],
    Parameter(name=["--output", "-o"], help="Form of what is printed."),
]


def as_object(kv: KeyValue) -> dict[str, Any]:
    """Return a version of a key as JSON shows it."""
    told: dict[str, Any] = {**_text("key", kv.key), **_text("value", kv.value)}
    told["create_revision"] = kv.create_revision
    told["mod_revision"] = kv.mod_revision
    told["version"] = kv.version
    if kv.lease:
        told["lease"] = lease_text(kv.lease)
    return told


def print_pairs(
    kvs: Sequence[KeyValue],
    output: str,
    *,
    keys_only: bool = False,
    revision: Revision | None = None,
) -> None:
    """Print keys and values; `simple` writes their bytes as they are.

    Keys alone are a line each, for scripts that read lines: what cannot be printed is escaped, as
    in a table. The exact bytes of any key stand in JSON.
    """
    if output in ("json", "yaml"):
        told: dict[str, Any] = {} if revision is None else {"revision": revision}
        told |= {"kvs": [as_object(kv) for kv in kvs], "count": len(kvs)}
        print_object(told, "yaml" if output == "yaml" else "json")
    elif output == "table":
        columns = ("KEY", "VALUE", "VERSION", "CREATED", "MODIFIED", "LEASE")
        print_table(columns, [_row(kv) for kv in kvs])
    else:
        for kv in kvs:
            if keys_only or output == "name":
                print_line(shown(kv.key))
            else:
                write_bytes(kv.key + b"\n" + kv.value + b"\n")


def print_event_head(output: str) -> None:
    """Print what stands above the changes that come."""
    if output == "table":
        print_line(_aligned("EVENT", "REVISION", "KEY"))


def print_events(events: Sequence[Event], output: str) -> None:
    """Print changes, each at once."""
    for event in events:
        verb = "DELETE" if event.deleted else "PUT"
        if output in ("json", "yaml"):
            print_line(json.dumps(_event(verb, event), ensure_ascii=False))
        elif output == "table":
            print_line(_aligned(verb, str(event.kv.mod_revision), shown(event.kv.key)))
        elif output == "name":
            print_line(shown(event.kv.key))
        else:
            previous = [event.previous.key, event.previous.value] if event.previous else []
            lines = [verb.encode(), *previous, event.kv.key]
            lines += [] if event.deleted else [event.kv.value]
            write_bytes(b"\n".join(lines) + b"\n")


def _aligned(verb: str, revision: str, key: str) -> str:
    return f"{verb:6}  {revision:>10}  {key}"


def _event(verb: str, event: Event) -> dict[str, Any]:
    told: dict[str, Any] = {"type": verb}
    if event.deleted:
        told["kv"] = {**_text("key", event.kv.key), "mod_revision": event.kv.mod_revision}
    else:
        told["kv"] = as_object(event.kv)
    if event.previous is not None:
        told["previous"] = as_object(event.previous)
    return told


def _row(kv: KeyValue) -> tuple[str, ...]:
    lease = lease_text(kv.lease) if kv.lease else ""
    numbers = (str(kv.version), str(kv.create_revision), str(kv.mod_revision))
    return (shown(kv.key), shown(kv.value), *numbers, lease)


def _text(name: str, content: bytes) -> dict[str, str]:
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}
