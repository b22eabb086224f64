"""Why a node did not start or go on, each reason with its own exit code: docs/exit-codes.md.

Codes of errors in general stand in `kit.errors.ANSWERS`; those here begin above them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from decube.kit.errors import DecubeError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ExitCode(IntEnum):
    """What only `decube up` ends with."""

    DATA_DIRECTORY_IN_USE = 20
    ADDRESS_IN_USE = 21
    DATA_DIRECTORY_NOT_WRITABLE = 22
    DISK_FULL = 23
    NEWER_FORMAT = 24
    STORE_UNREACHABLE = 25
    CANNOT_LISTEN = 26
    CERTIFICATE_UNUSABLE = 27
    STORE_STOPPED = 28


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DATA_DIRECTORY_IN_USE: "Another node uses the data directory; the text names its pid.",
    ExitCode.ADDRESS_IN_USE: "A port is taken; the text names the listener and its key.",
    ExitCode.DATA_DIRECTORY_NOT_WRITABLE: "The data directory cannot be made or written.",
    ExitCode.DISK_FULL: "There is no room in the data directory.",
    ExitCode.NEWER_FORMAT: "The data was written by a newer version.",
    ExitCode.STORE_UNREACHABLE: "Backend `etcd`: no endpoint answered in `store.connect_timeout`.",
    ExitCode.CANNOT_LISTEN: "An address is not one of this machine, its name cannot be resolved, "
    "or its port is not allowed.",
    ExitCode.CERTIFICATE_UNUSABLE: "A certificate, key or CA of `security` is missing, expired or "
    "does not fit; the text names the key.",
    ExitCode.STORE_STOPPED: "The store stopped writing a minute ago, after an IO error that the "
    "text names, or because its data directory was removed. Opening it again recovers all that was "
    "acknowledged, as far as the files are there.",
}


class StartFailure(DecubeError):
    """The node cannot start or go on; `exit_code` tells scripts why, the hint what to do."""

    code = "start_failed"

    def __init__(self, message: str, exit_code: ExitCode, *, hint: str) -> None:
        super().__init__(message, hint=hint, reason=exit_code.name.lower())
        self.exit_code = int(exit_code)
