"""Every test of the contract runs on every backend, on keys of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.node import EtcdProcess
from tests.support.stores import BACKENDS, Scene, opened, remote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def etcd_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real etcd for all tests, which therefore never speak of absolute revisions."""
    with EtcdProcess(tmp_path_factory.mktemp("etcd")) as process:
        process.ensure_started()
        yield process.etcd_address


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def scene(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Scene]:
    """Yield a store with nothing of this test in it yet."""
    address = request.getfixturevalue("etcd_address") if backend == "remote-etcd" else None
    async with opened(backend, tmp_path, address) as store:
        yield Scene(store, backend)
    if address is not None:
        await _end_leases(address)


async def _end_leases(address: str) -> None:
    """End what a test left on the common etcd: its expiry is a revision that a later one meets."""
    async with remote(address) as store:
        for lease in await store.leases():
            await store.lease_revoke(lease)
