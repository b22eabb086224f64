"""Starts a node from what the command line says; shared by the parser and by the short way.

The short way: importing the argument parser takes as long as opening the store, and `decube up` is
mostly typed with options that each have one value. Those are read here; for anything else, help and
mistakes among it, the parser is asked.
"""

import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from decube.config.load import Loaded, load
from decube.kit.errors import Invalid

# Which keys an option of `decube up` sets.
OPTION_KEYS: Final = {
    "--data-dir": ("node.data_dir",),
    "--rest-address": ("api.rest.address",),
    "--grpc-address": ("api.grpc.address",),
    "--etcd-address": ("node.listen_address",),
    "--endpoints": ("store.endpoints",),
    "--log-level": ("logging.level",),
}


@dataclass(frozen=True)
class Given:
    """What was typed: the file, the options with their values, and the `--set` assignments."""

    config: Path | None = None
    options: tuple[tuple[str, str], ...] = ()
    assignments: tuple[str, ...] = ()

    def loaded(self) -> Loaded:
        """Load the settings. Raises `Invalid`."""
        flags = [(*_split(text), "--set") for text in self.assignments]
        for option, value in self.options:
            flags += [(key, value, option) for key in OPTION_KEYS[option]]
            if option == "--data-dir":
                # Whatever the file says of their places: all that is durable shall go there.
                flags += [(key, "", option) for key in ("etcd.data_dir", "etcd.wal_dir")]
            if option == "--endpoints":
                flags.append(("store.backend", "etcd", option))
        return load(file=self.config, environment=os.environ, flags=flags)


def start(given: Given) -> int:
    """Run a node until it ends; return the exit code. Raises `DecubeError`."""
    # Until it is ready nothing becomes garbage but what importing leaves behind.
    gc.disable()
    loaded = given.loaded()
    from decube.daemon.main import run

    return run(loaded)


def read_plainly(arguments: Sequence[str]) -> Given | None:
    """Read the arguments of `decube up` if all are options with a value, else return None."""
    config = os.environ.get("DECUBE_CONFIG") or None
    options: list[tuple[str, str]] = []
    assignments: list[str] = []
    left = list(arguments)
    while left:
        option, equals, value = left.pop(0).partition("=")
        if not equals:
            if not left or left[0].startswith("-"):
                return None
            value = left.pop(0)
        if option == "--config":
            config = value
        elif option == "--set":
            assignments.append(value)
        elif option in OPTION_KEYS:
            options.append((option, value))
        else:
            return None
    return Given(Path(config) if config else None, tuple(options), tuple(assignments))


def _split(assignment: str) -> tuple[str, str]:
    key, equals, value = assignment.partition("=")
    if not equals:
        raise Invalid(f'--set "{assignment}" is not KEY=VALUE', field="set")
    return key.strip(), value
