"""Two and three real nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Replicas]:
    """Primary `a` and standby `b`, started."""
    async with Replicas(tmp_path) as replicas:
        yield replicas


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Replicas]:
    """Primary `a` and standbys `b` and `c`, started."""
    async with Replicas(tmp_path, standbys=2) as replicas:
        yield replicas
