"""Random tests try harder in `make test-slow`."""

from __future__ import annotations

import pytest
from hypothesis import settings
from tests.support.effort import EFFORT

settings.register_profile("effort", max_examples=100 * EFFORT, deadline=None)
settings.load_profile("effort")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder is random."""
    for item in items:
        if "/tests/property/" in str(item.path):
            item.add_marker(pytest.mark.effort)
