"""Keys that do nothing beside others are named, each with the reason."""

from __future__ import annotations

import pytest

from decube.config.load import load

ENDPOINTS = {"DECUBE_STORE_BACKEND": "etcd", "DECUBE_STORE_ENDPOINTS": "127.0.0.1:2379"}


def idle(environment: dict[str, str]) -> dict[str, str | None]:
    return {key.path: key.no_effect for key in load(environment=environment).without_effect()}


@pytest.mark.parametrize(
    ("given", "path", "reason"),
    [
        ({"DECUBE_STORE_LEADER_TTL": "9s"}, "store.leader_ttl", "only the backend etcd"),
        (
            {"DECUBE_STORE_ENGINE": "memory", "DECUBE_ETCD_WAL_DIR": "/w"},
            "etcd.wal_dir",
            "the engine memory",
        ),
        ({"DECUBE_LOGGING_MAX_AGE": "1"}, "logging.max_age", "names no file"),
        (
            {"DECUBE_API_REST_ENABLED": "no", "DECUBE_API_REST_CORS_ORIGINS": "*"},
            "api.rest.cors_origins",
            "api.rest.enabled is false",
        ),
        (
            {"DECUBE_API_GRPC_ENABLED": "no", "DECUBE_API_GRPC_MAX_MESSAGE_BYTES": "9"},
            "api.grpc.max_message_bytes",
            "api.grpc.enabled is false",
        ),
        (
            {"DECUBE_SNAPSHOT_ENABLED": "no", "DECUBE_SNAPSHOT_INTERVAL": "9m"},
            "snapshot.interval",
            "snapshot.enabled is false",
        ),
        ({"DECUBE_ETCD_ELECTION_TIMEOUT": "9"}, "etcd.election_timeout", "elects nobody"),
    ],
)
def test_a_key_that_another_makes_idle_is_named(
    given: dict[str, str], path: str, reason: str
) -> None:
    found = idle(given)
    assert list(found) == [path]
    assert reason in str(found[path])


def test_on_a_shared_etcd_all_keys_of_the_embedded_store_are_named() -> None:
    given = {
        "DECUBE_ETCD_AUTO_COMPACTION_RETENTION": "9h",
        "DECUBE_ETCD_QUOTA_BACKEND_BYTES": "9",
        "DECUBE_NODE_LISTEN_ADDRESS": ":9",
        "DECUBE_STORE_LOG_RETENTION_BYTES": "9",
    }
    assert len(idle(ENDPOINTS | given)) == len(given)
    assert idle(ENDPOINTS) == {}


def test_what_a_log_file_and_the_log_engine_use_is_not_named() -> None:
    given = {
        "DECUBE_LOGGING_OUTPUT": "/var/log/decube/decube.log",
        "DECUBE_LOGGING_MAX_AGE": "1",
        "DECUBE_ETCD_WAL_DIR": "/w",
    }
    assert idle(given) == {}
