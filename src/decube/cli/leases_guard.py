"""Runs a command while a lease is held, and stops it in time when it is not.

Three threads: one renews the lease, one waits for the command, and this one decides. It gives the
lease up when two thirds of the TTL have passed since the last renewal, whatever the renewing thread
does meanwhile; what is left of the TTL is for stopping the command.
"""

import contextlib
import dataclasses
import os
import queue
import signal
import socket
import threading
from dataclasses import dataclass
from typing import Final

from decube.cli.failures import LEASE_LOST, tell
from decube.cli.leases_command import Command, check_is_there
from decube.cli.leases_hold import Holding, Wanted, acquire
from decube.cli.options import Node
from decube.kit.clock import SystemClock
from decube.kit.durations import Duration
from decube.kit.ids import RandomIds

_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_GRACE_SHARE: Final = 1 / 6
_REQUESTS_A_TTL: Final = 6
_UNIQUE_DIGITS: Final = 8
_CLOCK: Final = SystemClock()


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """What to run, and the lease to hold meanwhile. `wait_s`: None waits for ever."""

    command: tuple[str, ...]
    name: str
    holder: str
    ttl_s: int
    grace_s: float
    wait_s: float | None


@dataclass(frozen=True)
class _Ended:
    """The command ended."""

    exit_code: int


@dataclass(frozen=True)
class _Lost:
    """The lease is held no more."""

    reason: str


@dataclass(frozen=True)
class _Signal:
    """This process was sent a signal."""

    number: int


_Events = queue.SimpleQueue[_Ended | _Lost | _Signal]


def guard(node: Node, guarded: Guarded) -> int:
    """Acquire the lease, run the command, release the lease; return the exit code."""
    check_is_there(guarded.command[0])
    # A request must not take so long that the next one would be too late.
    timeout_s = min(node.timeout.seconds, guarded.ttl_s / _REQUESTS_A_TTL)
    client = node.client()
    brief = dataclasses.replace(node, timeout=Duration.of_seconds(timeout_s)).client()
    wanted = Wanted(name=guarded.name, holder=_holder(guarded.holder), ttl_s=guarded.ttl_s)
    lease, asked_s = acquire(client, wanted, wait_s=guarded.wait_s)
    events = _Events()
    holding = Holding(brief, lease, asked_s, lost=lambda reason: events.put(_Lost(reason)))
    _catch_signals(events)
    try:
        command = Command(
            guarded.command,
            {
                "DECUBE_LEASE_ID": lease["id"],
                "DECUBE_FENCING_TOKEN": str(lease["fencing_token"]),
            },
        )
        holding.start()
        threading.Thread(
            target=lambda: events.put(_Ended(command.wait())), name="wait-for-command", daemon=True
        ).start()
        exit_code = _until_the_end(guarded, holding, command, events)
        command.give_back_terminal()
    finally:
        holding.release()
    return exit_code


def _until_the_end(guarded: Guarded, holding: Holding, command: Command, events: _Events) -> int:
    """Wait for the command, or stop it when the lease is lost."""
    while (left_s := holding.safe_for_s()) > 0:
        try:
            event = events.get(timeout=left_s)
        except queue.Empty:
            continue  # it was renewed meanwhile, or it is lost
        match event:
            case _Ended():
                return event.exit_code
            case _Signal():
                command.send(event.number)
            case _Lost():
                reason = event.reason
                break
    else:
        reason = ": ".join(filter(None, ("it could not be renewed in time", holding.trouble)))
    tell(f"lost the lease {guarded.name}: {reason}; stopping {guarded.command[0]}")
    command.send(signal.SIGTERM)
    _await_end(events, min(guarded.grace_s, holding.ttl_s * _GRACE_SHARE))
    # Also when the command itself has ended: nothing that it left may go on without the lease.
    command.send(signal.SIGKILL)
    return LEASE_LOST


def _catch_signals(events: _Events) -> None:
    """Let what this process is sent go to the command, but for what it was started to ignore."""
    for number in _PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: events.put(_Signal(number)))


def _await_end(events: _Events, timeout_s: float) -> None:
    """Wait for the command's end; signals that come meanwhile do not make it longer."""
    deadline_s = _CLOCK.monotonic_s() + timeout_s
    with contextlib.suppress(queue.Empty):
        while not isinstance(events.get(timeout=_left_s(deadline_s)), _Ended):
            pass


def _left_s(deadline_s: float) -> float:
    return max(0.0, deadline_s - _CLOCK.monotonic_s())


def _holder(told: str) -> str:
    """Name this very process: another one of the same name must not take its lease up again."""
    unique = RandomIds().request_id()[:_UNIQUE_DIGITS]
    return f"{told or socket.gethostname()}-{os.getpid()}-{unique}"
