"""Types commands of etcdctl at one server, and tells what was seen, without what may differ.

Aside are only identities, terms, times and addresses.
"""

from __future__ import annotations

import re
import subprocess
import threading
from typing import NamedTuple

# `etcdctl check perf` writes for a minute.
COMMAND_SECONDS_MAX = 180

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


class Lasting(NamedTuple):
    """A command that goes on until it is ended: once it shows something, or `asked` does."""

    arguments: list[str]
    shows: str
    asked: list[str] | None = None


Command = list[str] | tuple[list[str], str] | Lasting
"""Arguments, arguments and what goes to the standard input, or what does not end by itself.

`$LEASE` stands for the lease that was granted last, `$ENDPOINT` for the server.
"""


class Typist:
    """Types the commands of a script at one server."""

    def __init__(self, program: str, endpoint: str, directory: str = ".") -> None:
        self.program = program
        self.directory = directory
        self.endpoint = endpoint
        self.lease = ""

    def types(self, command: Command) -> str:
        if isinstance(command, Lasting):
            return self._types_lasting(command)
        arguments, text = command if isinstance(command, tuple) else (command, "")
        done = subprocess.run(
            self.line(arguments),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            timeout=COMMAND_SECONDS_MAX,
        )
        if granted := re.search(r"lease ([0-9a-f]{16}) granted", done.stdout):
            self.lease = granted[1]
        return told(arguments, done.returncode, done.stdout + done.stderr)

    def prints(self, arguments: list[str]) -> str:
        """Type a command that must succeed; what it prints, unmasked."""
        done = subprocess.run(
            self.line(arguments), capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def line(self, arguments: list[str]) -> list[str]:
        stand_for = {"$LEASE": self.lease, "$ENDPOINT": self.endpoint}
        filled = [stand_for.get(argument, argument) for argument in arguments]
        return [self.program, f"--endpoints={self.endpoint}", *filled]

    def _types_lasting(self, command: Lasting) -> str:
        process = subprocess.Popen(
            self.line(command.arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        bound = threading.Timer(COMMAND_SECONDS_MAX, process.kill)
        bound.start()
        output = ""
        with process:
            assert process.stdout is not None
            if command.asked:
                while process.poll() is None and command.shows not in output:
                    output = self.prints(command.asked)
            else:
                while command.shows not in output and (line := process.stdout.readline()):
                    output += line
            bound.cancel()
            process.kill()
        code = 0 if command.shows in output else process.returncode
        return told(command.arguments, code, output)


def told(arguments: list[str], code: int, output: str) -> str:
    """Write what a command said, without what may differ."""
    text = f"$ etcdctl {' '.join(arguments)}\n{output}-> {code}\n"
    for pattern, replacement in MASKS:
        text = re.sub(pattern, replacement, text)
    return text
