"""The crash tests need the store only: they go on as soon as the etcd port is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.node import NodeProcess


@pytest.fixture
def node(node: NodeProcess) -> NodeProcess:
    """Wait for the etcd port instead of REST."""
    node.ready_url = f"http://{node.etcd_address}/readyz"
    return node
