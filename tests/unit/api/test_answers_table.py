"""The one table from kinds of errors to what callers are told is total and valid."""

from __future__ import annotations

import importlib
import pkgutil
from http import HTTPStatus
from typing import TYPE_CHECKING

import grpc

import decube
from decube.kit.errors import ANSWERS, DecubeError, OfVersion, answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator


# What only a command meets has exit codes beside the command.
ROOTS = ("decube.cli", "decube.daemon")


def kinds(root: type[DecubeError]) -> Iterator[type[DecubeError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_kind_that_a_caller_can_meet_has_an_answer() -> None:
    for module in pkgutil.walk_packages(decube.__path__, "decube."):
        if not module.name.startswith(ROOTS):
            importlib.import_module(module.name)
    met = [kind for kind in kinds(DecubeError) if not kind.__module__.startswith(ROOTS)]
    assert set(met) >= set(ANSWERS)
    for kind in set(met) - {OfVersion}:
        assert set(kind.__mro__) & set(ANSWERS), f"{kind} is below no kind that has an answer"


def test_every_answer_is_a_status_a_code_and_an_exit_code() -> None:
    for kind, answer in ANSWERS.items():
        assert HTTPStatus(answer.http_status) >= HTTPStatus.BAD_REQUEST, kind
        assert answer.grpc_code in grpc.StatusCode.__members__, kind
        assert 1 <= answer.exit_code < 126, kind


def test_kinds_have_different_codes() -> None:
    codes = [kind.code for kind in ANSWERS]
    assert len(set(codes)) == len(codes)


def test_a_kind_below_a_kind_is_answered_as_that() -> None:
    for kind, answer in ANSWERS.items():
        below = type("Below", (kind,), {"__init__": Exception.__init__})
        assert answer_of(below("x")) == answer
