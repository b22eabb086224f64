"""How the command line tells that something failed: one line and a hint on stderr, an exit code.

Exit codes of the kinds of errors stand in `kit.errors.ANSWERS`; an error of starting a node brings
its own. docs/exit-codes.md lists all of them.
"""

from __future__ import annotations

import re
import sys
from typing import Final

from decube.kit.errors import (
    Damaged,
    DecubeError,
    NotLeader,
    Unavailable,
    answer_of,
)

BAD_USAGE: Final = 2
LEASE_LOST: Final = 124  # as `timeout` says it when it stops a command
NOT_EXECUTABLE: Final = 126  # this and the next as shells, `env` and `timeout` say it
NOT_FOUND: Final = 127
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED: Final = 141  # 128 + SIGPIPE

RUN_MEANINGS: Final = {
    LEASE_LOST: "The lease was lost, and the command was stopped.",
    NOT_EXECUTABLE: "The command cannot be run.",
    NOT_FOUND: "There is no such command.",
}
"""Beside the exit codes of the command that it runs."""

_HINTS: Final[dict[type[DecubeError], str]] = {
    Unavailable: "is the node up? `decube up` starts one; --address or DECUBE_ADDRESS chooses it",
    Damaged: "what else there is: `decube snapshots list`",
    NotLeader: "ask the leader: --address or DECUBE_ADDRESS chooses it",
}

HINTS_BY_REASON: Final = {
    "latched": "its log tells why, and within a minute it ends; started again it has all that was "
    "acknowledged",
    "unhealthy": "it is there, and takes no writes: its log tells why; start it again",
}
"""By the reason that a store tells, which says more than the kind of the error does."""


def exit_code_of(error: DecubeError) -> int:
    """Return the exit code of an error."""
    own = getattr(error, "exit_code", None)
    return own if isinstance(own, int) else answer_of(error).exit_code


def tell(message: str, hint: str | None = None) -> None:
    """Say on stderr what failed, and what to do next."""
    # Typed bytes that are no UTF-8 are lone surrogates in text: \xff, and not \udcff, was typed.
    told = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", message)
    print(f"decube: {told}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)


def tell_error(error: DecubeError) -> int:
    """Say what failed and return the exit code."""
    hint = error.details.get("hint")
    if hint is None:
        hint = HINTS_BY_REASON.get(str(error.details.get("reason")))
    if hint is None:
        hint = next((text for kind, text in _HINTS.items() if isinstance(error, kind)), None)
    tell(error.message, str(hint) if hint else None)
    return exit_code_of(error)
