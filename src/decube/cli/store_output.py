"""How the entries of a log are printed."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from decube.cli.kv_output import as_object
from decube.store.embedded import log
from decube.store.types import lease_text

if TYPE_CHECKING:
    from decube.store.embedded.log import Change, LogEntry


def print_json(entry: LogEntry) -> None:
    """Print an entry as one line of JSON."""
    kind, told = _told(entry)
    head: dict[str, Any] = {"sequence": entry.sequence, "term": entry.term}
    head |= {"written_at": _moment(entry.written_at_s), "revision": entry.revision, "kind": kind}
    _print(json.dumps({**head, **told}, ensure_ascii=False))


def print_simple(entry: LogEntry) -> None:
    """Print an entry as a line for people, without values."""
    kind, told = _told(entry)
    if kind == "write":
        text = ", ".join(_shown(change) for change in told["changes"])
    else:
        text = " ".join(f"{name}={value}" for name, value in told.items())
    moment = _moment(entry.written_at_s)
    _print(f"{entry.sequence} {moment} revision={entry.revision} {kind} {text}")


def _print(line: str) -> None:
    """Without a flush for each: a log has many."""
    sys.stdout.write(line + "\n")


def _told(entry: LogEntry) -> tuple[str, dict[str, Any]]:
    match entry.logged:
        case log.Write(changes):
            return "write", {"changes": [_change(change) for change in changes]}
        case log.LeaseGrant(lease, ttl_s, expires_at_s):
            ends = {"ttl_s": ttl_s, "expires_at": _moment(expires_at_s)}
            return "lease_grant", {"lease": lease_text(lease), **ends}
        case log.LeaseKeepAlive(lease, expires_at_s):
            told = {"lease": lease_text(lease), "expires_at": _moment(expires_at_s)}
            return "lease_keep_alive", told
        case log.LeaseEnd(lease):
            return "lease_end", {"lease": lease_text(lease)}
        case log.Compaction(revision):
            return "compact", {"compact_revision": revision}
        case log.AlarmChange(member, alarm, raised):
            return "alarm", {"member": f"{member:x}", "alarm": alarm, "raised": raised}


def _change(change: Change) -> dict[str, Any]:
    told = as_object(change.kv)
    if change.deleted:
        return {"type": "delete"} | {name: told[name] for name in told if name.startswith("key")}
    return {"type": "put", **told}


def _shown(change: dict[str, Any]) -> str:
    key = change.get("key", change.get("key_base64"))
    return f"{change['type']} {key!r}"


def _moment(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
