"""Every kind that the extension module raises has a kind of ours."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from decube._native import StoreError
from decube.kit.errors import Closed, DecubeError, Denied, Exhausted, Internal, Unavailable
from decube.store.embedded.errors import _BY_KIND, translate

CATALOGUE = Path(__file__).resolve().parents[3] / "crates" / "python" / "src" / "errors.rs"
KIND = re.compile(r'(?:raise\(\s*|=> \(\s*|=> \{\s*\(\s*)"([a-z_]+)",')


def test_every_kind_of_the_module_is_translated() -> None:
    raised = set(KIND.findall(CATALOGUE.read_text())) | {"io"}
    assert len(raised) >= 25
    assert raised == set(_BY_KIND)


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (errno.EACCES, Denied, "not_permitted"),
        (errno.EROFS, Denied, "not_permitted"),
        (errno.ENOSPC, Exhausted, "no_room"),
        (errno.EIO, Unavailable, "io"),
    ],
)
def test_an_io_error_says_what_to_do_by_its_number(
    number: int, kind: type[DecubeError], reason: str
) -> None:
    error = translate(StoreError("io", "cannot write", {"errno": number, "path": "/x"}))
    assert type(error) is kind
    assert error.details["reason"] == reason
    assert error.details["path"] == "/x"


def test_a_full_quota_says_how_to_make_room() -> None:
    error = translate(StoreError("no_space", "database space exceeded", {}))
    assert isinstance(error, Exhausted)
    assert error.details["reason"] == "quota"
    for step in ("kv del", "kv compact", "etcd.quota_backend_bytes", "kv alarm disarm"):
        assert step in str(error.details["hint"])


def test_a_store_of_another_process_is_closed_here() -> None:
    error = translate(StoreError("forked", "belongs to process 7", {"pid": 7}))
    assert isinstance(error, Closed)
    assert error.details["pid"] == 7


def test_an_unknown_kind_is_a_defect_of_ours() -> None:
    assert isinstance(translate(StoreError("new", "text", {})), Internal)
