"""Settings of replication that do not go together are refused; those without effect are named."""

from __future__ import annotations

import pytest

from decube.config.load import ConfigError, load

TOKEN = {"DECUBE_REPLICATION_TOKEN": "a token that nobody guesses"}
PEER = {"DECUBE_NODE_PEER_ADDRESSES": "a:2380"}
STANDBY = {"DECUBE_REPLICATION_ROLE": "standby"}
PRIMARY = {"DECUBE_REPLICATION_ROLE": "primary"}


@pytest.mark.parametrize("environment", [{**PRIMARY, **TOKEN}, {**STANDBY, **TOKEN, **PEER}])
def test_a_role_with_what_it_needs_is_taken(environment: dict[str, str]) -> None:
    loaded = load(environment=environment)
    assert loaded.settings.replication.role == environment["DECUBE_REPLICATION_ROLE"]
    assert loaded.without_effect() == []


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({**PRIMARY}, "replication.token"),
        ({**STANDBY, **TOKEN}, "node.peer_addresses"),
        ({**PRIMARY, **TOKEN, "DECUBE_STORE_ENGINE": "memory"}, "replication.role"),
        (
            {
                **PRIMARY,
                **TOKEN,
                "DECUBE_STORE_BACKEND": "etcd",
                "DECUBE_STORE_ENDPOINTS": "a:2379",
            },
            "replication.role",
        ),
    ],
)
def test_a_role_without_what_it_needs_is_refused_by_key(
    environment: dict[str, str], key: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(environment=environment)
    (problem,) = refused.value.details["problems"]  # type: ignore[misc]
    assert problem.startswith(f"{key}: ")


def test_what_is_set_without_a_role_is_named_even_at_its_default() -> None:
    loaded = load(environment={**PEER, "DECUBE_REPLICATION_ENABLED": "true"})
    idle = {key.path: key.no_effect for key in loaded.without_effect()}
    reason = "replication.role is none: nothing replicates"
    assert idle == {"node.peer_addresses": reason, "replication.enabled": reason}


def test_a_role_that_is_switched_off_is_named() -> None:
    loaded = load(environment={**PRIMARY, "DECUBE_REPLICATION_ENABLED": "false"})
    assert [key.path for key in loaded.without_effect()] == ["replication.role"]
