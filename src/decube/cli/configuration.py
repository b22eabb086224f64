"""`decube config`: what the settings are, where they come from, and whether they are right."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from decube.cli.output import print_object, print_table
from decube.cli.start import Given
from decube.config import describe
from decube.config.settings import SnapshotSettings

app = App(name="config", help="Show, check and explain the settings.", version_flags=[])

ConfigFile = Annotated[
    Path | None, Parameter(env_var="DECUBE_CONFIG", help="The configuration file.")
]
Assignments = Annotated[
    tuple[str, ...],
    Parameter(name="--set", help="KEY=VALUE for any key; may be repeated.", negative=()),
]


@app.command
def show(
    *,
    config: ConfigFile = None,
    assignments: Assignments = (),
    changed: Annotated[bool, Parameter(help="Only what is not a default.", negative=())] = False,
    output: Annotated[
        Literal["table", "json", "yaml"], Parameter(name=["--output", "-o"])
    ] = "table",
) -> None:
    """Show the settings `decube up` would use, and where each came from. Secrets are masked.

    For example:

        DECUBE_NODE_ID=a decube config show --config config/config.yaml --changed
    """
    loaded = Given(config, assignments=assignments).loaded()
    if output != "table":
        print_object(describe.nested(loaded, changed_only=changed), output)
        return
    rows = [
        (path, json.dumps(value, ensure_ascii=False), origin)
        for path, (value, origin) in describe.shown(loaded, changed_only=changed).items()
    ]
    print_table(("KEY", "VALUE", "FROM"), rows)


@app.command
def check(*, config: ConfigFile = None, assignments: Assignments = ()) -> None:
    """Check file, environment and --set; exit 0 if `decube up` would accept them.

    What it meets on the machine only when it starts is not tried: addresses,
    certificates, the data directory, the log file, and whether a location of
    snapshots can be reached.

    For example:

        decube config check --config config/config.yaml
    """
    loaded = Given(config, assignments=assignments).loaded()
    _check_snapshots(loaded.settings.snapshot)
    by_reason: dict[str, list[str]] = {}
    for key in loaded.without_effect():
        by_reason.setdefault(str(key.no_effect), []).append(key.path)
    print("the configuration is fine")
    if by_reason:
        print("some of it has no effect:")
    for reason, paths in by_reason.items():
        print(f"  {reason}: {', '.join(paths)}")


def _check_snapshots(wanted: SnapshotSettings) -> None:
    """Refuse what can only be known by those who keep and encrypt snapshots."""
    if wanted.has_location_or_keys:
        from decube.daemon.snapshots import checked

        checked(wanted, Path())


@app.command
def default() -> None:
    """Print a file with every key at its default, explained.

    For example:

        decube config default > config.yaml
    """
    print(describe.default_file(), end="")


@app.command
def schema() -> None:
    """Print the JSON schema of the file, for editors.

    For example:

        decube config schema > decube.schema.json
    """
    print_object(describe.schema(), "json")
