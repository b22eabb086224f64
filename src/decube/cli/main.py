"""The entry point of the command `decube`, and how every command ends."""

import os
import sys
from collections.abc import Sequence

from decube.cli.failures import INTERRUPTED, PIPE_CLOSED, tell_error
from decube.kit.errors import DecubeError
from decube.kit.imports import absent


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; errors are told on stderr."""
    if arguments and arguments[0].partition("=")[0] == "--config":
        arguments = ["up", *arguments]  # as the original is started
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except DecubeError as error:
        return tell_error(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain about it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


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
