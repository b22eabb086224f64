"""Every setting has an effect that a test sees, or is named at the start as having none.

The table says which test it is. A new key needs a row, and its test must speak of it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from decube.config.keys import Key, keys
from decube.config.load import load

TESTS = Path(__file__).parents[2]
STARTS = "integration/daemon/test_lifecycle.py"
FAILS = "integration/daemon/test_exit_codes.py"
BOUNDS = "integration/daemon/test_settings.py"
SHARED = "integration/daemon/test_shared_store.py"
OUTAGES = "integration/store_remote/test_outages.py"
REMOTE_TLS = "integration/store_remote/test_tls.py::test_certificates_decide_who_may_connect"
REMOTE_USER = "integration/store_remote/test_users.py::test_a_node_is_the_user_that_it_is_told"
LIMITS_OF_REST = f"{BOUNDS}::test_bodies_connections_and_slow_clients_of_rest_have_their_bounds"
KEPT_FILES = (
    "unit/daemon/test_store_options.py::test_how_many_checkpoints_and_segments_stay_is_as_set"
)
LOG_FILE = (
    "integration/daemon/test_log_file.py::test_a_node_whose_log_was_moved_away_makes_a_new_one"
)
PATIENCE = (
    "integration/daemon/test_replication_settings.py::"
    "test_a_peer_that_says_nothing_is_down_after_as_many_tries_as_set"
)
SNAPSHOTS = "integration/snapshots/test_settings.py"
PRUNED = "integration/daemon/test_log_file.py::test_old_log_files_go_by_number_and_by_age"

SEEN_BY = {
    "node.id": f"{BOUNDS}::test_the_node_and_the_member_tell_their_names",
    "node.data_dir": f"{STARTS}::test_port_0_is_told_in_the_node_file_and_in_the_log",
    "node.listen_address": f"{STARTS}::test_port_0_is_told_in_the_node_file_and_in_the_log",
    "node.advertise_host": f"{BOUNDS}::test_the_node_and_the_member_tell_their_names",
    "node.shutdown_timeout": f"{STARTS}::test_sigterm_drains_and_exits_0",
    "store.backend": f"{SHARED}::test_nodes_share_the_store_and_agree_who_leads",
    "store.engine": f"{STARTS}::test_the_memory_engine_forgets_and_the_log_does_not",
    "store.log_retention": KEPT_FILES,
    "store.log_retention_bytes": KEPT_FILES,
    "store.endpoints": f"{SHARED}::test_nodes_share_the_store_and_agree_who_leads",
    "store.ca_file": REMOTE_TLS,
    "store.cert_file": REMOTE_TLS,
    "store.key_file": REMOTE_TLS,
    "store.username": REMOTE_USER,
    "store.password": REMOTE_USER,
    "store.connect_timeout": f"{FAILS}::test_unreachable_endpoints_are_told_within_bounds",
    "store.request_timeout": f"{OUTAGES}::test_calls_end_in_time_while_there_is_no_server",
    "store.leader_ttl": f"{SHARED}::test_when_the_leader_is_killed_the_other_leads",
    "etcd.name": f"{BOUNDS}::test_the_node_and_the_member_tell_their_names",
    "etcd.data_dir": f"{STARTS}::"
    "test_the_originals_file_starts_a_node_and_one_warning_names_what_has_no_effect",
    "etcd.wal_dir": f"{FAILS}::test_two_directories_with_one_log_are_refused_too",
    "etcd.snapshot_count": KEPT_FILES,
    "etcd.max_snapshots": KEPT_FILES,
    "etcd.max_wals": KEPT_FILES,
    "etcd.auto_compaction_retention": "integration/daemon/test_compaction.py::"
    "test_a_node_forgets_history_by_time_and_tells_how_often",
    "etcd.quota_backend_bytes": f"{BOUNDS}::"
    "test_at_the_quota_writes_are_refused_and_deletes_make_room",
    "etcd.max_request_bytes": f"{BOUNDS}::"
    "test_a_request_of_an_etcd_client_above_the_limit_is_refused",
    "etcd.max_txn_ops": f"{BOUNDS}::test_a_transaction_of_more_operations_is_refused",
    "etcd.max_connections": f"{BOUNDS}::test_connections_of_etcd_clients_have_a_bound",
    "etcd.watch_progress_notify_interval": f"{BOUNDS}::"
    "test_idle_watches_hear_of_progress_as_often_as_set",
    "api.rest.enabled": "unit/config/test_unused.py::test_a_key_that_another_makes_idle_is_named",
    "api.rest.address": f"{STARTS}::test_port_0_is_told_in_the_node_file_and_in_the_log",
    "api.rest.cors_origins": "integration/rest/test_node.py::"
    "test_pages_of_configured_origins_may_call",
    "api.rest.allowed_hosts": "integration/rest/test_node.py::test_an_allowed_host_is_answered_to",
    "api.rest.max_body_bytes": LIMITS_OF_REST,
    "api.rest.max_connections": LIMITS_OF_REST,
    "api.rest.timeout": LIMITS_OF_REST,
    "api.grpc.enabled": f"{BOUNDS}::test_an_api_that_is_off_is_not_served",
    "api.grpc.address": f"{STARTS}::test_port_0_is_told_in_the_node_file_and_in_the_log",
    "api.grpc.max_message_bytes": f"{BOUNDS}::test_a_grpc_message_above_the_limit_is_refused",
    "replication.peer_timeout": PATIENCE,
    "replication.retry_interval": PATIENCE,
    "replication.max_retries": PATIENCE,
    "replication.enabled": "unit/config/test_replication.py::"
    "test_a_role_that_is_switched_off_is_named",
    "snapshot.enabled": f"{SNAPSHOTS}::test_none_by_time_when_that_is_disabled",
    "snapshot.interval": f"{SNAPSHOTS}::test_by_time_every_interval_so_many_are_kept",
    "snapshot.retention_count": f"{SNAPSHOTS}::test_by_time_every_interval_so_many_are_kept",
    "snapshot.compression": f"{SNAPSHOTS}::test_location_and_compression_are_as_set",
    "snapshot.location": f"{SNAPSHOTS}::test_location_and_compression_are_as_set",
    "logging.level": f"{BOUNDS}::test_the_log_has_the_level_and_the_form_that_were_set",
    "logging.format": f"{BOUNDS}::test_the_log_has_the_level_and_the_form_that_were_set",
    "logging.output": LOG_FILE,
    "logging.max_size": LOG_FILE,
    "logging.max_backups": PRUNED,
    "logging.max_age": PRUNED,
}

# Parts with many keys of their own, and the tests of each: one of them speaks of the key.
PARTS_SEEN_BY = {
    "node.peer_addresses": ("unit/config/test_replication.py", "support/replicas.py"),
    "replication.": (
        "unit/config/test_replication.py",
        "integration/replication",
        "support/replicas.py",
    ),
    "security.": ("unit/config/test_listener_tls.py", "integration/tls"),
    "snapshot.": (
        "unit/services/snapshots",
        "integration/snapshots",
        "unit/config/test_unused.py",
    ),
}


def words_of(key: Key) -> re.Pattern[str]:
    """Return what a test says that speaks of a key."""
    name = key.path.rpartition(".")[2]
    return re.compile(rf"{re.escape(key.path)}\b|{key.variable}\b|\b{name}")


def sources(places: tuple[str, ...]) -> str:
    """Return the text of tests: of files, and of all files in directories."""
    found = [TESTS / place for place in places]
    files = [file for place in found for file in ([place] if place.is_file() else place.rglob("*"))]
    return "".join(file.read_text() for file in files if file.suffix == ".py")


@pytest.mark.parametrize("key", [key for key in keys().values() if key.no_effect])
def test_a_key_without_effect_is_named_at_the_start_with_the_reason(key: Key) -> None:
    loaded = load(environment={key.variable: "7"})
    assert [(idle.path, bool(idle.no_effect)) for idle in loaded.without_effect()] == [
        (key.path, True)
    ]


@pytest.mark.parametrize(
    "key", [key for key in keys().values() if not key.no_effect], ids=lambda key: key.path
)
def test_a_key_has_an_effect_that_a_test_sees(key: Key) -> None:
    if key.path in SEEN_BY:
        file, _, test = SEEN_BY[key.path].partition("::")
        text = sources((file,))
        assert re.search(rf"def {test}\(", text), f"{file} has no test {test}"
    else:
        places = [part for prefix, part in PARTS_SEEN_BY.items() if key.path.startswith(prefix)]
        assert places, f"{key.path} needs a row here: which test sees its effect?"
        text = sources(places[0])
    assert words_of(key).search(text), f"no test there speaks of {key.path}"


def test_the_table_names_no_key_that_is_gone() -> None:
    assert SEEN_BY.keys() <= {key.path for key in keys().values() if not key.no_effect}
