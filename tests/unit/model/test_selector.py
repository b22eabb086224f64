from __future__ import annotations

import pytest

from decube.kit.errors import Invalid
from decube.model.selector import EVERYTHING, Selector
from decube.model.selector_text import parse_selector

WEB = {"tier": "web", "rev": "7", "empty": ""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "tier",
        "!gpu",
        "! gpu",
        "tier=web",
        "tier==web",
        "tier = web",
        "tier\t==\nweb",
        "tier!=db",
        "gpu!=yes",
        "tier in (web)",
        "tier in (db,web)",
        "tier in(db , web )",
        "tier notin (db)",
        "gpu notin (yes)",
        "rev>6",
        "rev < 8",
        "tier=web,rev=7,!gpu",
        "empty=",
        "empty=,tier",
        "empty in ()",
        "empty in (,)",
        "empty in (a,,b)",
        "gpu!=",
    ],
)
def test_selects(text: str) -> None:
    assert parse_selector(text).matches(WEB)


@pytest.mark.parametrize(
    "text",
    [
        "gpu",
        "!tier",
        "tier=db",
        "tier!=web",
        "tier in (db,cache)",
        "tier notin (web,db)",
        "gpu=yes",
        "gpu in (yes)",
        "gpu=",
        "rev>7",
        "rev<7",
        "tier>1",
        "gpu<1",
        "empty!=",
        "tier=web,rev=8",
    ],
)
def test_does_not_select(text: str) -> None:
    assert not parse_selector(text).matches(WEB)


def test_in_and_notin_are_keys_and_values_where_no_operator_can_be() -> None:
    labels = {"in": "notin", "notin": "in"}
    assert parse_selector("in in (notin), notin=in, !out").matches(labels)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        (",", 0, "expected a label key"),
        ("a,", 2, "found the end, expected a label key"),
        ("a,,b", 2, "expected a label key"),
        ("a b", 2, "found 'b', expected in, notin, ="),
        ("a in", 4, "found the end, expected '('"),
        ("a in b", 5, "found 'b', expected '('"),
        ("a in (b", 7, "found the end, expected ',' or ')'"),
        ("a in (b c)", 8, "found 'c', expected ',' or ')'"),
        ("a in (=)", 6, "found '=', expected ',' or ')'"),
        ("a in (b) c", 9, "expected ',' or the end"),
        ("!a=b", 2, "expected ',' or the end"),
        ("!!a", 1, "expected a label key"),
        ("a=b=c", 3, "expected ',' or the end"),
        ("a=!b", 2, "expected a label value"),
        ("a>b", 2, "expected an integer"),
        ("a>", 2, "expected an integer"),
        ("a>9223372036854775808", 2, "expected an integer"),
        ("-a=b", 0, "not a qualified name"),
        ("a=-b", 2, "not a label value"),
        ("x/y/z", 0, "not a DNS-1123 subdomain"),
        ("tier in (ok, -bad)", 13, "not a label value"),
        ("(a)", 0, "expected a label key"),
        ("a)", 1, "expected in, notin"),
    ],
)
def test_a_bad_selector_is_refused_with_position_and_reason(
    text: str, position: int, reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        parse_selector(text)
    assert reason in refused.value.message
    assert refused.value.details["position"] == position
    assert refused.value.field == "label_selector"


def test_the_empty_selector_is_everything() -> None:
    assert parse_selector("") == EVERYTHING
    assert EVERYTHING.is_everything
    assert not parse_selector("a").is_everything


def test_equal_to_selects_what_has_all_the_labels() -> None:
    selector = Selector.equal_to({"tier": "web", "rev": "7"})
    assert selector.matches(WEB)
    assert not selector.matches({"tier": "web"})
