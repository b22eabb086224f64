"""`decube version`."""

from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.output import OutputFormat, print_object
from decube.kit.version import product_version

app = App(name="version", version_flags=[])


@app.default
def version(
    *, output: Annotated[OutputFormat, Parameter(name=["--output", "-o"])] = "table"
) -> None:
    """Print the version.

    For example:

        decube version -o json
    """
    own = product_version()
    if output in ("table", "name"):
        print(f"decube {own}")
    else:
        print_object({"version": own}, output)
