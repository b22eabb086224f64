"""`decube leases run`: a command that runs only while a lease is held."""

from typing import Annotated

from cyclopts import Parameter

from decube.cli.options import Node, Timeout
from decube.cli.ttl import lease_ttl_seconds
from decube.kit.durations import Duration
from decube.kit.errors import Invalid

GRACE_DEFAULT = Duration.of_seconds(10)


def run(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True, validator=())],
    name: Annotated[str, Parameter(help="The name that one holder has at a time.")],
    ttl: Annotated[str, Parameter(help="How long the lease outlives its last renewal.")] = "30s",
    holder: Annotated[
        str, Parameter(help="Told to others, with this process added; by default the host.")
    ] = "",
    wait: Annotated[bool, Parameter(help="Wait while another holder has the name.")] = True,
    wait_timeout: Annotated[
        Timeout | None, Parameter(help="Wait no longer than that; by default for ever.")
    ] = None,
    grace: Annotated[
        Timeout, Parameter(help="After SIGTERM, until SIGKILL; a sixth of the TTL at most.")
    ] = GRACE_DEFAULT,
    node: Node = Node(),
) -> int:
    """Run a command while holding a lease: of all that run it so by one name, one does.

    The command finds DECUBE_LEASE_ID and DECUBE_FENCING_TOKEN in its environment.
    The lease is renewed at a third of its TTL, and released when the command ends.
    SIGTERM, SIGINT, SIGHUP and SIGQUIT are passed on to the command. When the lease
    is lost, or could not be renewed for two thirds of its TTL, the command and what
    it started are stopped: by SIGTERM, then SIGKILL, before the TTL is over.

    Ends with the exit code of the command (128 and the signal's number if one ended
    it); 124 when the lease was lost; 4 when another holder kept the name; 126 or 127
    when the command cannot be run or is not there.

    For example:

        decube leases run --name nightly --no-wait -- ./backup.sh --full
        decube leases run --name leader --ttl 15s -- python worker.py
    """
    if not command:
        raise Invalid("give the command to run, after --", field="command")
    if wait_timeout is not None and not wait:
        raise Invalid("--wait-timeout and --no-wait exclude each other", field="wait_timeout")
    # Not for the other commands, which start faster without.
    from decube.cli.leases_guard import Guarded, guard

    wait_s = None if wait_timeout is None else wait_timeout.seconds
    return guard(
        node,
        Guarded(
            command=command,
            name=name,
            holder=holder,
            ttl_s=lease_ttl_seconds(ttl),
            grace_s=grace.seconds,
            wait_s=wait_s if wait else 0.0,
        ),
    )
