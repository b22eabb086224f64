"""Addresses: what is read, what is refused and how, who can reach them."""

from __future__ import annotations

import pytest

from decube.kit.addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "written"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
        ("node-1:2380", "node-1", 2380, "node-1:2380"),
        ("[::1]:0", "::1", 0, "[::1]:0"),
        (":8080", "0.0.0.0", 8080, "0.0.0.0:8080"),  # noqa: S104 - Go's notation
    ],
)
def test_it_is_read_and_written(text: str, host: str, port: int, written: str) -> None:
    address = parse_address(text)
    assert (address.host, address.port) == (host, port)
    assert str(address) == written
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("localhost", "has no port"),
        ("a:", 'bad port ""'),
        ("a:99999", 'bad port "99999"'),
        ("a:http", 'bad port "http"'),
        ("::1:8080", "stands in brackets"),
        ("[zz]:1", "bad IPv6 address"),
        ("http://a:1", "stands in brackets|without a URL"),
        ("a b:1", "without a URL"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_reached_from_this_machine_only(host: str) -> None:
    assert Address(host, 1).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_anything_else_may_be_reached_from_elsewhere(host: str) -> None:
    assert not Address(host, 1).is_loopback


def test_all_interfaces_are_called_by_loopback() -> None:
    assert Address("0.0.0.0", 1).reachable == Address("127.0.0.1", 1)  # noqa: S104
    assert Address("::", 1).reachable == Address("::1", 1)
    assert Address("a", 1).reachable == Address("a", 1)
