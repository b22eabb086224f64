"""What is typed at both servers: scripts of etcdctl commands, named by situation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.etcdctl.typist import Command

SCRIPTS: dict[str, list[Command]] = {
    "put_get_delete": [
        ["put", "greeting", "hello"],
        ["get", "greeting"],
        ["put", "greeting", "hello again", "--prev-kv"],
        ["get", "greeting", "-w", "json"],
        ["get", "absent"],
        ["del", "greeting", "--prev-kv"],
        ["del", "greeting"],
        ["get", "greeting"],
    ],
    "ranges": [
        *[["put", f"key{number}", f"value{9 - number}"] for number in range(6)],
        ["get", "key", "--prefix"],
        ["get", "key1", "key4"],
        ["get", "key3", "--from-key"],
        ["get", "", "--prefix", "--keys-only"],
        ["get", "key", "--prefix", "--limit", "2"],
        ["get", "key", "--prefix", "--sort-by", "VALUE", "--order", "DESCEND"],
        ["get", "key", "--prefix", "--count-only", "-w", "fields"],
        ["get", "key", "--prefix", "--rev", "4"],
        ["get", "key", "--prefix", "--rev", "400"],
        ["del", "key2", "key4", "--prev-kv"],
        ["get", "key", "--prefix", "--print-value-only"],
        ["del", "", "--prefix"],
    ],
    "transactions": [
        ["put", "flag", "off"],
        (["txn"], 'value("flag") = "off"\n\nput flag on\nget flag\n\nget flag\n\n'),
        (["txn"], 'value("flag") = "off"\n\nput flag on\n\nget flag\ndel flag\n\n'),
        (["txn"], 'version("flag") = "0"\ncreate("flag") = "0"\n\nput flag new\n\n\n'),
        (["txn"], 'mod("flag") > "2"\n\nput a 1\nput a 2\n\n\n'),
        (["txn", "-w", "json"], "\nput a 1\nput b 2\nget --prefix a\n\n\n"),
        ["get", "", "--prefix"],
    ],
    "compaction": [
        *[["put", "key", str(number)] for number in range(5)],
        ["compaction", "4"],
        ["compaction", "3"],
        ["compaction", "4000"],
        ["get", "key", "--rev", "3"],
        ["get", "key", "--rev", "4"],
        ["get", "key", "--rev", "5"],
        ["watch", "key", "--rev", "2"],
    ],
    "leases": [
        ["lease", "grant", "600"],
        ["put", "held", "1", "--lease", "$LEASE"],
        ["put", "free", "1"],
        # One key only: a real etcd lists several in a random order.
        ["lease", "timetolive", "$LEASE", "--keys"],
        ["put", "held2", "1", "--lease", "$LEASE"],
        ["lease", "keep-alive", "--once", "$LEASE"],
        ["put", "lost", "1", "--lease", "1234"],
        ["lease", "revoke", "1234"],
        ["lease", "revoke", "$LEASE"],
        ["lease", "timetolive", "$LEASE"],
        ["lease", "keep-alive", "--once", "$LEASE"],
        ["get", "", "--prefix"],
    ],
    "refusals": [
        ["put", "", "value"],
        ["put", "absent", "--ignore-value"],
        ["put", "absent", "value", "--ignore-lease"],
        ["lease", "grant", "9000000001"],
        ["get", "key", "--rev", "17"],
    ],
    "endpoints": [
        ["endpoint", "health"],
        ["alarm", "list"],
        ["defrag"],
    ],
}
