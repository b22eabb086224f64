"""Continue tokens: what is written is read, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from decube.kit.errors import Invalid
from decube.model.metadata import ResourceVersion
from decube.registry.continue_token import Position, listing_digest, read_token, write_token

POSITIONS = st.builds(
    Position,
    st.integers(1, 2**63 - 1).map(ResourceVersion),
    st.text(max_size=300).map(lambda text: text.encode(errors="replace").decode()),
)
LISTING = listing_digest("pods", "default", "")


@given(POSITIONS)
def test_a_token_reads_back(position: Position) -> None:
    assume(len(write_token(position, LISTING)) <= 1024)
    assert read_token(write_token(position, LISTING), LISTING) == position


@given(POSITIONS, st.data())
def test_a_damaged_token_is_refused(position: Position, data: st.DataObject) -> None:
    token = write_token(position, LISTING)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_=%é"))
    # The last character may hold bits that say nothing.
    assume(other != token[at] and at < len(token) - 1)
    with pytest.raises(Invalid) as refused:
        read_token(token[:at] + other + token[at + 1 :], LISTING)
    assert refused.value.field == "continue"


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_token(text, LISTING)
    assert refused.value.field == "continue"


@given(st.lists(st.text(max_size=5), max_size=3), st.lists(st.text(max_size=5), max_size=3))
def test_listings_differ_when_their_parts_do(some: list[str], others: list[str]) -> None:
    assert (listing_digest(*some) == listing_digest(*others)) == (some == others)
