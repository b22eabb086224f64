"""A user of etcdctl, old or new, sees the same from DeCube as from a real etcd.

Each script is typed at both servers; what is printed, on which stream, and the exit code must be
equal. Aside are only identities, terms, times and addresses, which `masked` replaces.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.conformance.etcdctl.scripts import SCRIPTS, Command
from tests.support.peers import etcdctl_of

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND_SECONDS_MAX = 20

MASKS = (
    (r"127\.0\.0\.1:\d+", "ENDPOINT"),
    (r'"(cluster_id|member_id|raft_term)":\d+', r'"\1":N'),
    (r'"(ClusterID|MemberID|RaftTerm)" : \d+', r'"\1" : N'),
    (r"\b[0-9a-f]{15,16}\b", "ID"),
    (r"took[ =:]+[\d.]+[mµ]?s", "took T"),
    (r"remaining\(\d+s\)", "remaining(Ns)"),
    # The client's own log lines carry a time and a pointer.
    (r'"ts":"[^"]*"', '"ts":T'),
    (r"0xc[0-9a-f]+", "POINTER"),
    (r"(retrying of unary invoker failed).*", r"\1"),
)


class Typist:
    """Types the commands of a script at one server."""

    def __init__(self, program: str, endpoint: str) -> None:
        self.program = program
        self.endpoint = endpoint
        self.lease = ""

    def types(self, command: Command) -> str:
        arguments, text = command if isinstance(command, tuple) else (command, "")
        done = subprocess.run(
            self.line(arguments),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
        )
        if granted := re.search(r"lease ([0-9a-f]{16}) granted", done.stdout):
            self.lease = granted[1]
        return self.told(arguments, done.returncode, done.stdout, done.stderr)

    def prints(self, arguments: list[str]) -> str:
        """Type a command that must succeed; what it prints, unmasked."""
        done = subprocess.run(
            self.line(arguments), capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def line(self, arguments: list[str]) -> list[str]:
        filled = [self.lease if a == "$LEASE" else a for a in arguments]
        return [self.program, f"--endpoints={self.endpoint}", *filled]

    @staticmethod
    def told(arguments: list[str], code: int, output: str, errors: str) -> str:
        text = f"$ etcdctl {' '.join(arguments)}\n{output}{errors}-> {code}\n"
        for pattern, replacement in MASKS:
            text = re.sub(pattern, replacement, text)
        return text


@pytest.mark.parametrize("version", ["3.7.1", "3.4.23"])
@pytest.mark.parametrize("situation", SCRIPTS)
def test_etcdctl_sees_the_same_as_from_a_real_etcd(
    situation: str,
    version: str,
    fresh_etcd: Callable[[], str],
    fresh_decube: Callable[[], str],
) -> None:
    program = etcdctl_of(version)
    real, ours = Typist(program, fresh_etcd()), Typist(program, fresh_decube())
    for command in SCRIPTS[situation]:
        assert ours.types(command) == real.types(command)


@pytest.mark.parametrize("version", ["3.7.1", "3.4.23"])
def test_etcdctl_tells_members_and_status(version: str, fresh_decube: Callable[[], str]) -> None:
    endpoint = fresh_decube()
    typist = Typist(etcdctl_of(version), endpoint)
    members = typist.prints(["member", "list"])
    assert f"http://{endpoint}" in members
    assert ", started, " in members
    status = typist.prints(["endpoint", "status"])
    assert status.startswith(f"{endpoint}, ")
    assert ", 3.7.1, " in status
    assert ", true, false, " in status, "a single node leads and is no learner"
