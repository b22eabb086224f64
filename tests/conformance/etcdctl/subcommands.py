"""What becomes of each subcommand of etcdctl 3.7.1, and how that is tried: docs/etcdctl.md.

`python -m tests.conformance.etcdctl.subcommands` writes the page; a test types the commands at both
servers and holds the page to what they said, and to the list that etcdctl itself gives.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.conformance.etcdctl.typist import Lasting

if TYPE_CHECKING:
    from tests.conformance.etcdctl.typist import Command

PAGE = Path(__file__).resolve().parents[3] / "docs" / "etcdctl.md"


class Verdict(enum.StrEnum):
    """How DeCube's answer compares with a real etcd's."""

    SAME = "as with etcd"
    WORKS = "works"
    REFUSED = "`Unimplemented`"
    CLIENT = "asks no server"


class Subcommand(NamedTuple):
    """A subcommand; the last of the commands typed is one of it."""

    typed: list[Command]
    verdict: Verdict
    remark: str = ""


SAME, WORKS, REFUSED, CLIENT = Verdict
_ONE_MEMBER = "the store has one member; standbys follow by [replication](howto/replication.md)"
_NO_USERS = "there are no users: with TLS, who has a certificate may do everything"

SUBCOMMANDS: dict[str, Subcommand] = {
    "put": Subcommand([["put", "key", "value"], ["put", "key", "again", "--prev-kv"]], SAME),
    "get": Subcommand(
        [["get", "key", "-w", "json"], ["get", "key", "--prefix", "--stream"]],
        SAME,
        "with `--stream`, too",
    ),
    "del": Subcommand([["put", "gone", "1"], ["del", "gone", "--prev-kv"]], SAME),
    "txn": Subcommand(
        [(["txn"], 'version("new") = "0"\n\nput new 1\nget key\n\nget new\n\n')], SAME
    ),
    "watch": Subcommand([Lasting(["watch", "key", "--rev", "1"], "again\n")], SAME),
    "compaction": Subcommand([["compaction", "3", "--physical"]], SAME),
    "lease grant": Subcommand([["lease", "grant", "600"]], SAME),
    "lease timetolive": Subcommand([["lease", "timetolive", "$LEASE", "--keys"]], SAME),
    "lease list": Subcommand([["lease", "list"]], SAME),
    "lease keep-alive": Subcommand(
        [Lasting(["lease", "keep-alive", "$LEASE"], "keepalived")], SAME
    ),
    "lease revoke": Subcommand([["lease", "revoke", "$LEASE"]], SAME),
    "alarm list": Subcommand([["alarm", "list"]], SAME),
    "alarm disarm": Subcommand([["alarm", "disarm"]], SAME),
    "defrag": Subcommand([["defrag"]], SAME, "there is nothing to do"),
    "endpoint health": Subcommand([["endpoint", "health"]], SAME),
    "endpoint hashkv": Subcommand(
        [["endpoint", "hashkv"]], SAME, "the same history has the same hash"
    ),
    "endpoint status": Subcommand(
        [["endpoint", "status", "-w", "table"]], WORKS, "sizes and raft's numbers are our own"
    ),
    "member list": Subcommand(
        [["member", "list", "-w", "table"]], WORKS, "one member, with the URLs it advertises"
    ),
    "member add": Subcommand(
        [["member", "add", "other", "--peer-urls=http://127.0.0.1:1"]], REFUSED, _ONE_MEMBER
    ),
    "member promote": Subcommand([["member", "promote", "1"]], REFUSED, _ONE_MEMBER),
    "member remove": Subcommand([["member", "remove", "1"]], REFUSED, _ONE_MEMBER),
    "member update": Subcommand(
        [["member", "update", "1", "--peer-urls=http://127.0.0.1:1"]], REFUSED, _ONE_MEMBER
    ),
    "move-leader": Subcommand(
        [["move-leader", "1"]], REFUSED, "promote a standby: [replication](howto/replication.md)"
    ),
    "snapshot save": Subcommand(
        [["snapshot", "save", "snapshot"]],
        REFUSED,
        "etcd's own file format; use `decube snapshots` ([backup](howto/backup.md))",
    ),
    **{
        f"downgrade {name}": Subcommand(
            [["downgrade", name, *arguments]], REFUSED, "versions of etcd's storage mean nothing"
        )
        for name, arguments in {"cancel": [], "enable": ["3.6.0"], "validate": ["3.6.0"]}.items()
    },
    "elect": Subcommand(
        [Lasting(["elect", "election", "proposal"], "proposal\n")], SAME, "by leases and keys"
    ),
    "lock": Subcommand([["lock", "mutex", "echo", "held"]], SAME, "by leases and keys"),
    **{
        f"auth {name}": Subcommand([["auth", name]], REFUSED, _NO_USERS)
        for name in ("disable", "enable", "status")
    },
    **{
        f"role {name}": Subcommand([["role", name, *arguments]], REFUSED, _NO_USERS)
        for name, arguments in {
            "add": ["some"],
            "delete": ["some"],
            "get": ["some"],
            "grant-permission": ["some", "read", "key"],
            "list": [],
            "revoke-permission": ["some", "key"],
        }.items()
    },
    **{
        f"user {name}": Subcommand([["user", name, *arguments]], REFUSED, _NO_USERS)
        for name, arguments in {
            "add": ["some", "--no-password"],
            "delete": ["some"],
            "get": ["some"],
            "grant-role": ["some", "other"],
            "list": [],
            "revoke-role": ["some", "other"],
        }.items()
    },
    "user passwd": Subcommand(
        [(["user", "passwd", "some", "--interactive=false"], "secret\n")], REFUSED, _NO_USERS
    ),
    "make-mirror": Subcommand(
        [
            ["put", "from/key", "1"],
            Lasting(
                ["make-mirror", "--prefix=from/", "--dest-prefix=to/", "$ENDPOINT"],
                "to/key",
                ["get", "to/", "--prefix"],
            ),
        ],
        SAME,
    ),
    "completion": Subcommand([["completion", "bash"]], CLIENT),
    "help": Subcommand([["help"]], CLIENT),
    "options": Subcommand([["options"]], CLIENT),
    "version": Subcommand([["version"]], CLIENT),
    # A minute, and 10,000 keys: in `make test-slow`.
    "check perf": Subcommand([["check", "perf", "--load=s"]], WORKS),
    "check datascale": Subcommand([["check", "datascale", "--load=s"]], WORKS),
}

LONG = ("check perf", "check datascale")

_HEAD = """# etcdctl

<!-- Written by `python -m tests.conformance.etcdctl.subcommands`, held by a test; do not edit. -->

What becomes of each subcommand of etcdctl 3.7.1 (`etcdctl help` knows no others). "As with etcd":
typed at both, it prints the same and ends with the same code, but for identities, terms and times.
"Works": it does the same, and what it prints is a node's own. What is `Unimplemented` says so and
changes nothing. More is in [etcd-differences.md](etcd-differences.md).

| `etcdctl ...` | here | |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    rows = (
        f"| `{name}` | {told.verdict} | {told.remark} |\n" for name, told in SUBCOMMANDS.items()
    )
    return _HEAD + "".join(row.replace("|  |", "| |") for row in rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
