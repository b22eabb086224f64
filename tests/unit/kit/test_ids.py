"""Identities have their form whoever makes them, and do not repeat."""

from __future__ import annotations

import re
import uuid

import pytest

from decube.kit.ids import Ids, RandomIds, SequentialIds


@pytest.mark.parametrize("ids", [RandomIds(), SequentialIds()])
def test_identities_have_their_form_and_do_not_repeat(ids: Ids) -> None:
    assert uuid.UUID(ids.uid()).version == 4
    assert re.fullmatch(r"[0-9a-f]{24}", ids.request_id())
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,}", ids.token())
    makers = (ids.uid, ids.request_id, ids.token)
    for make in makers:
        assert len({make() for _ in range(100)}) == 100


@pytest.mark.parametrize("ids", [RandomIds(), SequentialIds()])
def test_a_token_is_never_guessable_however_short_it_is_asked_for(ids: Ids) -> None:
    assert len(ids.token(1)) >= 21


def test_sequential_identities_are_known_beforehand() -> None:
    assert SequentialIds().uid() == "00000000-0000-4000-8000-000000000001"
