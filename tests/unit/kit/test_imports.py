"""Imports that are made to fail on purpose."""

from __future__ import annotations

import importlib
import sys

import pytest

from decube.kit.imports import absent

RARE = "wave"  # of the standard library; nobody here uses it


@pytest.fixture(autouse=True)
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, RARE, raising=False)


def test_within_the_block_the_import_fails_and_after_it_works() -> None:
    with absent(RARE), pytest.raises(ImportError):
        importlib.import_module(RARE)
    assert importlib.import_module(RARE)


def test_what_is_imported_already_stays() -> None:
    module = importlib.import_module(RARE)
    with absent(RARE):
        assert importlib.import_module(RARE) is module
