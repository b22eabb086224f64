from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.api import RestApi, rest_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def api() -> AsyncIterator[RestApi]:
    async with rest_api() as served:
        yield served
