"""A running node and the command line that calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.cli import Cli
from tests.support.node import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Start a node for all tests of a module."""
    with NodeProcess(tmp_path_factory.mktemp("node")) as process:
        process.ensure_started()
        yield process


@pytest.fixture(scope="module")
def cli(running: NodeProcess) -> Cli:
    """Make a command line that calls that node."""
    return Cli({"DECUBE_ADDRESS": f"http://{running.rest_address}"})
