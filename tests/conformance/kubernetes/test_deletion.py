"""Objects are deleted by the thousand, as a range and as the collection that API servers delete.

Users of KubeBrain reported that it is slow, and a delete whose answer was none of a delete range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.peers import found_by

if TYPE_CHECKING:
    from collections.abc import Callable


def delete(store: str, objects: int) -> dict[str, Any]:
    found = found_by("kubecheck", "deletion", store, f"-objects={objects}", timeout_s=600)
    assert found["range_deleted"] == objects
    assert found["collection_deleted"] == objects
    assert found["left"] == 0
    assert found["deletions_that_the_watch_missed"] == 0
    return found


def test_every_delete_is_answered_as_a_delete_range(fresh_decube: Callable[[], str]) -> None:
    found = delete(fresh_decube(), 5_000)
    assert found["answers_that_are_no_delete_range"] == 0


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_a_hundred_thousand_objects_are_deleted_no_slower_than_by_a_real_etcd(
    fresh_decube: Callable[[], str], fresh_etcd: Callable[[], str]
) -> None:
    found = {
        name: delete(start(), 100_000)
        for name, start in (("node", fresh_decube), ("etcd", fresh_etcd))
    }
    for way in ("range_seconds", "collection_seconds"):
        ours, theirs = found["node"][way], found["etcd"][way]
        print(f"{way}: {ours:.2f}, etcd {theirs:.2f}")  # noqa: T201 - the evidence
        assert ours < theirs
