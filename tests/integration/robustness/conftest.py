"""Stores to be tried, which end with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.robustness import Trials

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import ServerProcess


@pytest.fixture
def trials(tmp_path: Path, servers: list[ServerProcess]) -> Trials:
    """Make histories of fresh stores."""
    return Trials(tmp_path, servers)
