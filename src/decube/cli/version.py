"""`decube version`."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.output import OutputFormat, print_object

app = App(name="version", version_flags=[])


@app.default
def version(
    *, output: Annotated[OutputFormat, Parameter(name=["--output", "-o"])] = "table"
) -> None:
    """Print the version.

    For example:

        decube version -o json
    """
    own = own_version()
    if output in ("table", "name"):
        print(f"decube {own}")
    else:
        print_object({"version": own}, output)


def own_version() -> str:
    """Return the installed version."""
    try:
        return installed_version("decube")
    except PackageNotFoundError:
        return "unknown"
