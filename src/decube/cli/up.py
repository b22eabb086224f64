"""`decube up`: starts a node. The server is imported when it starts, not before."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from decube.cli.configuration import Assignments, ConfigFile
from decube.cli.start import Given, start

app = App(name="up", version_flags=[])


@app.default
def up(
    *,
    config: ConfigFile = None,
    data_dir: Annotated[
        Path | None,
        Parameter(help="Data directory; the log and the checkpoints go below it as well."),
    ] = None,
    rest_address: Annotated[str | None, Parameter(help="Where REST listens: host:port.")] = None,
    grpc_address: Annotated[str | None, Parameter(help="Where gRPC listens.")] = None,
    etcd_address: Annotated[str | None, Parameter(help="Where the etcd API listens.")] = None,
    endpoints: Annotated[
        str | None, Parameter(help="Run on these etcd endpoints (by commas), not on a store here.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warn", "error"] | None, Parameter(help="Least level logged.")
    ] = None,
    assignments: Assignments = (),
) -> int:
    """Start a node and run it until SIGTERM or Ctrl-C.

    Settings come from the defaults, the file, the environment (DECUBE_...)
    and these options, each over the ones before: docs/configuration.md.
    The addresses in use, which port 0 leaves to the system, are in
    node.json in the data directory. Exit codes: docs/exit-codes.md.

    For example:

        decube up
        decube up --data-dir ./data --rest-address 127.0.0.1:0
        decube up --endpoints 127.0.0.1:2379 --set logging.format=console
        decube --config config/config.yaml
    """
    options = {
        "--data-dir": data_dir,
        "--rest-address": rest_address,
        "--grpc-address": grpc_address,
        "--etcd-address": etcd_address,
        "--endpoints": endpoints,
        "--log-level": log_level,
    }
    typed = tuple((name, str(value)) for name, value in options.items() if value is not None)
    return start(Given(config, typed, assignments))
