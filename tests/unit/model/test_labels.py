from __future__ import annotations

import pytest

from decube.kit.errors import Invalid
from decube.model.labels import ANNOTATIONS_BYTES_MAX, check_annotations, check_labels


@pytest.mark.parametrize(
    "key", ["app", "App_1.x-y", "example.com/app", "a" * 63, "a.b.c/" + "x" * 63, "1"]
)
def test_a_qualified_name_is_a_key(key: str) -> None:
    check_labels({key: "value"})


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty name"),
        ("/app", "empty prefix"),
        ("example.com/", "empty name"),
        ("Example.com/app", "not a DNS-1123 subdomain"),
        ("a/b/c", "not a DNS-1123 subdomain"),
        ("a" * 254 + "/b", "not a DNS-1123 subdomain"),
        ("-app", "not a qualified name"),
        ("app-", "not a qualified name"),
        ("a" * 64, "not a qualified name"),
        ("a b", "not a qualified name"),
    ],
)
def test_another_key_is_refused_with_the_reason(key: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as refused:
        check_labels({"fine": "x", key: "value"})
    assert refused.value.field == "labels"


@pytest.mark.parametrize("value", ["", "a", "A.b_c-d", "1", "x" * 63])
def test_an_empty_or_qualified_value_is_a_labels_value(value: str) -> None:
    check_labels({"app": value})


@pytest.mark.parametrize("value", ["-a", "a-", "a b", "x" * 64, "ä", "a/b", "a\n"])
def test_another_value_is_refused_naming_its_key(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_labels({"app": value})
    assert refused.value.field == "labels.app"


def test_an_annotation_has_any_text_and_an_upper_case_prefix() -> None:
    check_annotations({"Example.com/note": "any text\n\x00 at all ä"})


def test_annotations_have_a_size_limit_together() -> None:
    half = "x" * (ANNOTATIONS_BYTES_MAX // 2)
    check_annotations({"a": half})
    with pytest.raises(Invalid, match="bytes") as refused:
        check_annotations({"a": half, "b": half})
    assert refused.value.field == "annotations"
