"""Go's notation of durations: what is read, what is written, what is refused and how."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decube.kit.durations import Duration, parse_duration

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("+5s", 5 * S),
        ("-1.5s", -3 * S // 2),
        ("1h", 3600 * S),
        ("1h30m", 5400 * S),
        ("100ms", S // 10),
        (" 1h ", 3600 * S),
        ("1h0m0.000000001s", 3600 * S + 1),
        (".5m", 30 * S),
        ("5.s", 5 * S),
        ("1us", 1000),
        ("1µs", 1000),
        ("1\u03bcs", 1000),
        ("0.3333333333333333333h", 1_200_000_000_000 - 1),
    ],
)
def test_go_notation_is_read(text: str, nanoseconds: int) -> None:
    assert parse_duration(text).nanoseconds == nanoseconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is not a duration"),
        ("-", "is not a duration"),
        ("s", "is not a duration"),
        (".s", "is not a duration"),
        ("1h-5m", "is not a duration"),
        ("30", "lacks a unit: write 30s"),
        ("1h30", "lacks a unit"),
        ("1d", 'unknown unit "d"'),
        ("5 s", 'unknown unit " s"'),
        ("9999999h", "at most 292 years"),
    ],
)
def test_what_is_not_a_duration_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3 * S, "3s"),
        (5 * 60 * S, "5m0s"),
        (90 * 60 * S, "1h30m0s"),
        (-S // 2, "-500ms"),
    ],
)
def test_it_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    assert str(Duration(nanoseconds)) == text


@pytest.mark.parametrize("text", ["24h", "1h30m", "1h0m5s", "10s", "10m", "0s", "100ms"])
def test_the_short_form_is_as_people_write_it(text: str) -> None:
    assert parse_duration(text).short == text


@given(st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1))
def test_what_is_written_is_read_back_exactly(nanoseconds: int) -> None:
    duration = Duration(nanoseconds)
    assert parse_duration(str(duration)) == duration
    assert parse_duration(duration.short) == duration


@given(st.text(alphabet="0123456789.+-hmsuµn ", max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        parse_duration(text)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_durations_order_as_their_lengths(a: int, b: int) -> None:
    assert (Duration(a) < Duration(b)) == (a < b)
    assert (hash(Duration(a)) == hash(Duration(b))) == (a == b)


def test_seconds_are_for_what_waits() -> None:
    assert parse_duration("1h30m").seconds == 5400
    assert Duration.of_seconds(0.1) == parse_duration("100ms")
