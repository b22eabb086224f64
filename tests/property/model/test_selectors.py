"""Selectors against the plainest reading of their definition."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from decube.kit.errors import Invalid
from decube.model.selector import Operator, Requirement, Selector
from decube.model.selector_text import parse_selector

KEYS = st.sampled_from(["a", "b", "in", "notin", "example.com/c"])
VALUES = st.sampled_from(["", "x", "y", "7", "10", "in"])
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.one_of(
    st.builds(Requirement, KEYS, st.sampled_from([Operator.EXISTS, Operator.ABSENT])),
    st.builds(
        Requirement,
        KEYS,
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.sets(VALUES, min_size=1).map(lambda values: tuple(sorted(values))),
    ),
    st.builds(
        Requirement,
        KEYS,
        st.sampled_from([Operator.GREATER, Operator.LESS]),
        st.integers(0, 20).map(lambda bound: (str(bound),)),
    ),
)
SELECTORS = st.lists(REQUIREMENTS, max_size=4).map(lambda found: Selector(tuple(found)))


def holds(requirement: Requirement, labels: dict[str, str]) -> bool:
    there = requirement.key in labels
    value = labels.get(requirement.key, "")
    number = int(value) if there and re.fullmatch("[0-9]+", value) else None
    return {
        Operator.EXISTS: there,
        Operator.ABSENT: not there,
        Operator.IN: there and value in requirement.values,
        Operator.NOT_IN: not (there and value in requirement.values),
        Operator.GREATER: number is not None and number > _bound(requirement),
        Operator.LESS: number is not None and number < _bound(requirement),
    }[requirement.operator]


def _bound(requirement: Requirement) -> int:
    digits = [value for value in requirement.values if value.isdigit()]
    return int(digits[0]) if digits else 0


@given(SELECTORS, LABELS)
def test_a_selector_selects_what_meets_every_requirement(
    selector: Selector, labels: dict[str, str]
) -> None:
    expected = all(holds(requirement, labels) for requirement in selector.requirements)
    assert selector.matches(labels) == expected


@given(SELECTORS)
def test_a_written_selector_reads_back_the_same(selector: Selector) -> None:
    assert parse_selector(str(selector)) == selector


@given(st.text(alphabet="ab=!(),<> \tin", max_size=30))
def test_any_text_is_read_or_refused_at_a_position_in_it(text: str) -> None:
    try:
        parse_selector(text)
    except Invalid as refused:
        position = refused.details["position"]
        assert isinstance(position, int)
        assert 0 <= position <= len(text)
