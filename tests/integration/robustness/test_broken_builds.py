"""The checks catch what they are there to catch: a build with a chosen defect is found out.

The same build without a defect is accepted in `test_histories`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.robustness import Plan, troubled_target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.robustness import Target, Trials

NOT_LINEARIZABLE = ("illegal",)
# Between two others of a watch, or its first, of which only the revision asked for tells.
LOST = ("broke Reliable", "broke Resumable")

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize(
    ("defect", "mix", "caught_by"),
    [
        ("lost-event", "etcd", LOST),
        ("early-progress", "etcd", ("broke Bookmarkable",)),
        ("reused-revision", "kubernetes", NOT_LINEARIZABLE),
        ("stale-read", "etcd", NOT_LINEARIZABLE),
        ("lost-write", "etcd", NOT_LINEARIZABLE),
    ],
)
async def test_a_broken_build_is_caught(
    trials: Trials, defect: str, mix: str, caught_by: tuple[str, ...]
) -> None:
    def broken(directory: Path) -> Target:
        return troubled_target(directory, defect)

    _, verdict = await trials.run(broken, Plan(mix, seconds=1.5, settle_s=1))
    assert verdict.violated, f"nobody noticed {defect}"
    told = f"{verdict.linearization} {verdict.watch}"
    assert any(cause in told for cause in caught_by), told
