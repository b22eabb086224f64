"""The entry point of the command `decube`, and how every command ends."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from decube.cli.failures import INTERRUPTED, PIPE_CLOSED, tell_error
from decube.kit.errors import DecubeError, Exhausted
from decube.kit.imports import absent

_OUTPUT_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    code = run(sys.argv[1:] if arguments is None else arguments)
    if "obstore" in sys.modules:
        _end_beside_threads(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; errors are told on stderr."""
    # Each handshake that fails is a line of gRPC's own on stderr otherwise, in no schema of ours.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path is printed as it was typed
    try:
        code = _dispatch(_usual(arguments))
        sys.stdout.flush()
    except DecubeError as error:
        return tell_error(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()  # whoever read it has enough
        return PIPE_CLOSED
    except OSError as error:
        # A node tells of its data directory itself; what is left is where our output goes.
        if error.errno not in _OUTPUT_FULL:
            raise
        _give_up_output()
        return tell_error(Exhausted(f"cannot write the output: {os.strerror(error.errno).lower()}"))
    return code


def _end_beside_threads(code: int) -> NoReturn:
    """End without finalizing Python, which a thread of obstore's runtime may still be in.

    It hands a result over by `loop.call_soon_threadsafe`, which gives the GIL away while it writes
    the byte that wakes the loop. When we are so quick to end that Python is finalized before it has
    the GIL again, CPython ends the thread, by `pthread_exit`; that unwinds through frames of Rust,
    which abort the process (exit code 134). Its threads cannot be joined, and end with the process.
    What the end of Python would do for us, and nothing else, is done here.
    """
    import logging

    logging.shutdown()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def _give_up_output() -> None:
    """Send what is left of it nowhere: Python would complain about it once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usual(arguments: Sequence[str]) -> Sequence[str]:
    """Take what people type by habit for the command that it means."""
    if not arguments:
        return arguments
    first, rest = arguments[0], arguments[1:]
    if first.partition("=")[0] == "--config":
        return ["up", *arguments]  # as the original is started
    if first == "help":
        return [*rest, "--help"]
    if first == "--version":
        return ["version", *rest]
    return arguments


def _dispatch(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == "up":
        # msgspec takes three names from there if it can, else from typing, where they are the same
        # since Python 3.11. The package costs a sixth of the time until the etcd port is open.
        with absent("typing_extensions"):
            import msgspec  # noqa: F401
        from decube.cli.start import read_plainly, start

        given = read_plainly(arguments[1:])
        if given is not None:
            return start(given)
    from decube.cli.commands import run_command

    return run_command(arguments)
