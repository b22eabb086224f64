from __future__ import annotations

import pytest

from decube.kit.errors import Invalid
from decube.model.names import check_name, check_namespace, shown


@pytest.mark.parametrize("name", ["a", "a-b", "a.b", "0", "nginx-1.21", "a" * 63, "x." * 126 + "y"])
def test_a_dns_1123_subdomain_is_a_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "a_b", "-a", "a-", ".a", "a.", "a..b", "a.-b", "a/b", "ä", "a\n", "a b", "x" * 254],
)
def test_another_name_is_refused_naming_the_field(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_name(name, "pod.name")
    assert refused.value.field == "pod.name"


@pytest.mark.parametrize("namespace", ["", "a.b", "A", "a" * 64, "*", "a/b"])
def test_a_namespace_is_one_label(namespace: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_namespace(namespace)
    assert refused.value.field == "namespace"


def test_a_long_name_is_cut_in_the_message() -> None:
    text = shown("x" * 5_000)
    assert len(text) < 120
    assert "5000 characters" in text


def test_control_characters_are_escaped_in_the_message() -> None:
    assert shown("a\x1b[31m\n") == r"'a\x1b[31m\n'"
