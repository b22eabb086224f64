"""Listeners that are to be at one address are refused, by both keys."""

from __future__ import annotations

import pytest

from decube.config.load import ConfigError, load

REST, GRPC, ETCD = "api.rest.address", "api.grpc.address", "node.listen_address"
PEER = "replication.listen_address"
ROLE = (("replication.role", "primary"), ("replication.token", "a token"))


def check(*given: tuple[str, str]) -> list[str]:
    """Load flags; return the problems."""
    try:
        load(flags=[(path, value, "--set") for path, value in given])
    except ConfigError as refused:
        return refused.problems
    return []


@pytest.mark.parametrize(
    ("one", "at", "other", "there"),
    [
        (REST, "127.0.0.1:7000", GRPC, "127.0.0.1:7000"),
        (REST, "127.0.0.1:7000", ETCD, "127.0.0.1:7000"),
        (GRPC, "0.0.0.0:7000", ETCD, "127.0.0.1:7000"),
        (REST, "10.0.0.1:7000", GRPC, ":7000"),
        (REST, "[::]:7000", GRPC, "127.0.0.1:7000"),
        (REST, "[::1]:7000", GRPC, "[0:0:0:0:0:0:0:1]:7000"),
        (REST, "localhost:7000", GRPC, "127.0.0.1:7000"),
        (REST, "Decube.example:7000", GRPC, "decube.example:7000"),
        (ETCD, "127.0.0.1:7000", PEER, "127.0.0.1:7000"),
    ],
)
def test_two_listeners_at_one_address_are_refused_by_both_keys(
    one: str, at: str, other: str, there: str
) -> None:
    (problem,) = check((one, at), (other, there), *ROLE)
    assert problem.startswith(f"{other}: ")
    assert f"is taken by {one} (" in problem
    assert problem.endswith("each listener needs a port of its own (--set)")


def test_the_default_of_another_listener_is_taken_as_well() -> None:
    (problem,) = check((GRPC, "127.0.0.1:8080"))
    assert f"{GRPC}: 127.0.0.1:8080 is taken by {REST}" in problem


@pytest.mark.parametrize(
    "given",
    [
        ((REST, "127.0.0.1:0"), (GRPC, "127.0.0.1:0"), (ETCD, "127.0.0.1:0")),
        ((REST, "127.0.0.1:7000"), (GRPC, "127.0.0.2:7000")),
        ((REST, "127.0.0.1:7000"), (GRPC, "[::1]:7000")),
        ((REST, "0.0.0.0:7000"), (GRPC, "[::1]:7000")),
        # What is not opened takes nothing.
        ((REST, "127.0.0.1:7000"), (PEER, "127.0.0.1:7000")),
        ((REST, "127.0.0.1:7000"), (GRPC, "127.0.0.1:7000"), ("api.rest.enabled", "false")),
        (
            (REST, "127.0.0.1:2379"),
            ("store.backend", "etcd"),
            ("store.endpoints", "127.0.0.1:2379"),
        ),
    ],
)
def test_listeners_that_do_not_meet_are_taken(given: tuple[tuple[str, str], ...]) -> None:
    assert check(*given) == []
