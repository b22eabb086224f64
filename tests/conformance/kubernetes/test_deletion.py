"""Objects are deleted by the thousand, as a range and as the collection that API servers delete.

Users of KubeBrain reported that it is slow, and a delete whose answer was none of a delete range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.peers import found_by
from tests.support.process_use import ProcessUse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.node import ServerProcess


def delete(store: str, objects: int, timeout_s: float) -> dict[str, Any]:
    found = found_by("kubecheck", "deletion", store, f"-objects={objects}", timeout_s=timeout_s)
    assert found["range_deleted"] == objects
    assert found["collection_deleted"] == objects
    assert found["left"] == 0
    assert found["deletions_that_the_watch_missed"] == 0
    return found


def test_every_delete_is_answered_as_a_delete_range(fresh_decube: Callable[[], str]) -> None:
    found = delete(fresh_decube(), 5_000, timeout_s=100)
    assert found["answers_that_are_no_delete_range"] == 0


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_a_hundred_thousand_objects_are_deleted_with_less_work_than_by_a_real_etcd(
    fresh_decube: Callable[[], str], fresh_etcd: Callable[[], str], servers: list[ServerProcess]
) -> None:
    """The work is processor time of the server, which the rest of the machine hardly changes."""
    cpu_s = []
    for start in (fresh_decube, fresh_etcd):
        found = delete(start(), 100_000, timeout_s=600)
        cpu_s.append(ProcessUse(servers[-1].pid).cpu_s())
        print(  # noqa: T201 - the evidence
            f"{servers[-1].command[0]}: a range in {found['range_seconds']:.2f} s, a collection in "
            f"{found['collection_seconds']:.2f} s, processor time {cpu_s[-1]:.1f} s"
        )
    ours, theirs = cpu_s
    assert ours < theirs
