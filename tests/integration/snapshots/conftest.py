"""An S3 server for the tests of this folder, and an empty bucket for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.s3 import BUCKET, S3Server, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in _s3.environment.items():
        monkeypatch.setenv(name, value)
    yield _s3
    _s3.ask_for_keys(asked=False)
    for key in _s3.object_keys():
        _s3.client().delete_object(Bucket=BUCKET, Key=key)
