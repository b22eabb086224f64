"""`decube completion`: scripts that let the shell complete commands and options."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from decube.kit.errors import Invalid

Shell = Literal["bash", "zsh", "fish"]

app = App(name="completion", help="Shell completion: print or install it.", version_flags=[])


@app.command(name="print")
def print_script(shell: Shell | None = None, /) -> None:
    """Print the completion script of a shell, by default of the one that runs this.

    For example:

        decube completion print bash > /etc/bash_completion.d/decube
    """
    from decube.cli.commands import app as root

    print(root.generate_completion(shell=_known(shell)))


@app.command
def install(
    shell: Shell | None = None,
    /,
    *,
    startup: Annotated[bool, Parameter(help="Also load it from the shell's start-up file.")] = True,
) -> None:
    """Install the completion script for you, by default for the shell that runs this.

    For example:

        decube completion install zsh --no-startup
    """
    from decube.cli.commands import app as root

    known = _known(shell)
    path: Path = root.install_completion(shell=known, add_to_startup=startup)
    print(f"{path}: open a new shell to use it")


def _known(shell: Shell | None) -> Shell:
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    if shell is not None:
        return shell
    try:
        found = detect_shell()
    except ShellDetectionError as error:
        raise Invalid("cannot tell which shell this is: name it, bash, zsh or fish") from error
    if found not in ("bash", "zsh", "fish"):
        raise Invalid(f"there is no completion for {found}: name bash, zsh or fish")
    return found
