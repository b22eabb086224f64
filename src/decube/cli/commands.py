"""The commands there are, loaded when they are typed.

`decube version` imports neither a server nor a client, and no client command imports anything of
the server. A test holds that.
"""

import os
from collections.abc import Sequence

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnusedCliTokensError

from decube.cli.arguments import check_text
from decube.cli.failures import BAD_USAGE, tell

_COMMANDS = (
    "up",
    "status",
    "pods",
    "leases",
    "snapshots",
    "kv",
    "replication",
    "store",
    "certs",
    "config",
    "completion",
    "version",
)
# Those of options; a test holds that none is missing.
_VARIABLES = (
    "DECUBE_ADDRESS",
    "DECUBE_CACERT",
    "DECUBE_CERT",
    "DECUBE_CONFIG",
    "DECUBE_ENDPOINTS",
    "DECUBE_KEY",
)
# `config` is a package of its own below.
_MODULES = {"config": "configuration"}


def _shown_default(value: object) -> str | None:
    """Return a default as help shows it; that there is nothing says nothing."""
    return None if value in (None, "", b"", ()) else str(value)


app = App(
    name="decube",
    default_parameter=Parameter(show_default=_shown_default, validator=check_text),
    help="""A control plane in one process: an etcd-compatible store with REST and gRPC on it.

For example:

    decube up                                  start a node on this machine
    decube status                              ask it how it is
    decube pods create web --label app=nginx   create a pod
    decube leases run --name x -- ./script.sh  run it in one place at a time
    decube snapshots create                    take a snapshot of all of it
    decube kv put greeting hello               write to the store itself
    decube completion install                  complete commands by Tab

`decube --config FILE` is short for `decube up --config FILE`.
""",
    help_format="plaintext",
    version_flags=[],
    suppress_keyboard_interrupt=False,
)
# Without a help text here, so that a command's own docstring, examples included, is its help.
for _name in _COMMANDS:
    app.command(f"decube.cli.{_MODULES.get(_name, _name)}:app", name=_name)


def run_command(arguments: Sequence[str]) -> int:
    """Parse and run a command; return its exit code. Raises `DecubeError`."""
    for name in _VARIABLES:
        if os.environ.get(name) == "":
            del os.environ[name]  # as scripts write it: unset
    if not arguments or arguments[0] in app.help_flags:
        for name in _COMMANDS:
            app[name]  # loads it, so that the list of commands says what they do
    try:
        result = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        command = " ".join(["decube", *(error.command_chain or ())])
        tell(_told(error), f"`{command} --help` tells what there is")
        return BAD_USAGE
    return result if isinstance(result, int) else 0


def _told(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f'unexpected argument "{error.unused_tokens[0]}"'
    # With a keyword it stands there, and only its value is missing.
    if isinstance(error, MissingArgumentError) and error.argument and error.keyword is None:
        return f"{error.argument.name} is required"
    text = str(error)
    return text[:1].lower() + text[1:]
