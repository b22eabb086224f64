"""docs/etcdctl.md is true of every subcommand that etcdctl has."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.conformance.etcdctl.subcommands import (
    LONG,
    PAGE,
    SUBCOMMANDS,
    Subcommand,
    Verdict,
    page,
)
from tests.conformance.etcdctl.typist import Typist
from tests.support.peers import peer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ENTRY = re.compile(r"^  ([a-z][a-z-]*) +[A-Za-z]", re.MULTILINE)


def leaves(*path: str) -> list[str]:
    """Ask etcdctl which subcommands it has, whatever their depth."""
    told = subprocess.run(
        [peer("etcdctl"), *path, "--help"], capture_output=True, text=True, check=True
    ).stdout
    if not path:
        listed = told
    else:
        _, _, listed = told.partition("Available Commands:\n")
        listed = listed.partition("\n\n")[0]
    names = _ENTRY.findall(listed)
    if not names:
        return [" ".join(path)]
    return [leaf for name in names for leaf in leaves(*path, name)]


def test_the_page_names_every_subcommand() -> None:
    assert sorted(leaves()) == sorted(SUBCOMMANDS)


def test_the_page_is_current() -> None:
    again = "run `.venv/bin/python -m tests.conformance.etcdctl.subcommands`"
    assert PAGE.read_text(encoding="utf-8") == page(), again


def found(subcommand: Subcommand, ours: Typist, real: Typist) -> tuple[Verdict | None, str]:
    """Type it, and tell which verdict that is, with what was seen."""
    seen = [ours.types(command) for command in subcommand.typed]
    if subcommand.verdict is Verdict.REFUSED:
        # Not at the real one: it would take in a member that is not there, or ask for passwords.
        refused = "Unimplemented" in seen[-1] and not seen[-1].endswith("-> 0\n")
        return Verdict.REFUSED if refused else None, seen[-1]
    expected = [real.types(command) for command in subcommand.typed]
    both = f"ours: {seen}\netcd: {expected}"
    if seen == expected:
        is_client = subcommand.verdict is Verdict.CLIENT
        return Verdict.CLIENT if is_client else Verdict.SAME, both
    works = all(told.endswith("-> 0\n") for told in (*seen, *expected))
    return Verdict.WORKS if works else None, both


def check(names: list[str], directory: Path, *addresses: str) -> None:
    ours, real = (Typist(peer("etcdctl"), address, str(directory)) for address in addresses)
    wrong = {}
    for name in names:
        verdict, seen = found(SUBCOMMANDS[name], ours, real)
        if verdict is not SUBCOMMANDS[name].verdict:
            wrong[name] = f"{verdict}: {seen}"
    assert not wrong, "\n".join(f"{name} is {told}" for name, told in wrong.items())


def test_the_page_says_what_each_subcommand_does(
    tmp_path: Path, fresh_decube: Callable[[], str], fresh_etcd: Callable[[], str]
) -> None:
    names = [name for name in SUBCOMMANDS if name not in LONG]
    check(names, tmp_path, fresh_decube(), fresh_etcd())


@pytest.mark.slow
def test_the_page_says_what_the_long_subcommands_do(
    tmp_path: Path, fresh_decube: Callable[[], str], fresh_etcd: Callable[[], str]
) -> None:
    check(list(LONG), tmp_path, fresh_decube(), fresh_etcd())
