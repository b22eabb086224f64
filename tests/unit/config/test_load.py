"""Precedence, conversion and refusals of the configuration."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from decube.config import describe
from decube.config.keys import Key, keys
from decube.config.listener_tls import LISTENERS
from decube.config.load import DEFAULT, ConfigError, load, value_of
from decube.kit.addresses import Address
from decube.kit.durations import Duration, parse_duration
from decube.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

ORIGINAL = Path(__file__).parents[3] / "config" / "config.yaml"

# A valid value other than the default, as it stands in the environment, by type.
CHOSEN = {
    "api.rest.enabled": "false",
    "api.grpc.enabled": "false",
    "store.backend": "etcd",
    "store.engine": "memory",
    "logging.level": "debug",
    "logging.format": "console",
    "replication.enabled": "false",
    "replication.role": "primary",
    "snapshot.enabled": "false",
    "snapshot.compression": "false",
    "security.tls_enabled": "true",
    "security.client_auth": "none",
    **{f"security.listeners.{name}.client_auth": "none" for name in LISTENERS},
}
# A key whose other value needs company to be accepted.
COMPANY = {
    "replication.role": {"DECUBE_REPLICATION_TOKEN": "a token"},
    "store.backend": {"DECUBE_STORE_ENDPOINTS": "127.0.0.1:2379"},
    "store.cert_file": {"DECUBE_STORE_KEY_FILE": "key.pem"},
    "store.key_file": {"DECUBE_STORE_CERT_FILE": "cert.pem"},
    "store.username": {"DECUBE_STORE_PASSWORD": "secret"},
    "store.password": {"DECUBE_STORE_USERNAME": "root"},
    "security.tls_enabled": {
        "DECUBE_SECURITY_CERT_FILE": "cert.pem",
        "DECUBE_SECURITY_KEY_FILE": "key.pem",
    },
}


@pytest.mark.parametrize("name", ["node-1", "a.b_c", "node 1", "Knoten-ä", "x" * 253])
def test_a_node_may_be_called_by_what_can_be_printed(name: str) -> None:
    assert load(environment={"DECUBE_NODE_ID": name}).settings.node.id == name


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "\x1b[31m", "a\u2028b", "x" * 254])
def test_a_node_is_not_called_by_what_cannot_be_printed_or_has_no_end(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(environment={"DECUBE_NODE_ID": name})
    (problem,) = refused.value.problems
    assert problem == (
        "node.id: is not a node's name: at most 253 printable characters, like node-1 "
        "(DECUBE_NODE_ID)"
    )


@pytest.mark.parametrize("path", ["node.id", "node.data_dir", "etcd.name", "api.rest.cors_origins"])
def test_text_that_is_no_utf_8_is_refused_by_key(path: str) -> None:
    text = os.fsdecode(b"http://a\xff")
    with pytest.raises(ConfigError) as refused:
        load(flags=[(path, text, "--set")])
    assert refused.value.problems == [f"{path}: is not valid UTF-8 (--set)"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def make(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return make


def another_value(key: Key) -> tuple[str, object]:
    """Return a text for the environment and the value that it must become."""
    if key.path in CHOSEN:
        text = CHOSEN[key.path]
        return text, {"true": True, "false": False}.get(text, text)
    if key.is_list and isinstance(key.default, tuple):
        if key.path == "node.peer_addresses":
            return "a:1, b:2", (Address("a", 1), Address("b", 2))
        return "a:1,b:2", ("a:1", "b:2")
    by_type: dict[type, tuple[str, object]] = {
        Duration: ("1h30m", parse_duration("90m")),
        Address: ("[::1]:7", Address("::1", 7)),
        int: ("7", 7),
        str: ("some text", "some text"),
    }
    return by_type[type(key.default)]


@pytest.mark.parametrize(
    "key",
    keys().values(),
    ids=lambda k: k.path,
)
def test_every_key_can_be_set_by_its_variable(key: Key) -> None:
    text, value = another_value(key)
    loaded = load(environment={key.variable: text, **COMPANY.get(key.path, {})})
    assert value_of(loaded.settings, key.path) == value
    assert value != key.default
    assert loaded.origins[key.path] == key.variable


def test_flags_override_the_environment_which_overrides_the_file(
    write: Callable[[str], Path],
) -> None:
    file = write("node: {id: file}\netcd: {name: file, max_txn_ops: 1}\nstore: {engine: memory}")
    loaded = load(
        file=file,
        environment={"DECUBE_NODE_ID": "environment", "DECUBE_ETCD_NAME": "environment"},
        flags=[("node.id", "flag", "--set")],
    )
    assert loaded.settings.node.id == "flag"
    assert loaded.settings.etcd.name == "environment"
    assert loaded.settings.etcd.max_txn_ops == 1
    assert loaded.origins["node.id"] == "--set"
    assert loaded.origins["etcd.name"] == "DECUBE_ETCD_NAME"
    assert loaded.origins["store.engine"] == f"{file}:3"
    assert loaded.origins["store.backend"] == DEFAULT


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nod: {id: a}", r"nod: no such setting \(.*config.yaml:1\); did you mean node\?"),
        ("node:\n  idd: a", r"node.idd: no such setting \(.*:2\); did you mean node.id\?"),
        ("rest:\n  address: a", r"rest: no such setting .*did you mean api.rest\?"),
        ("node: 5", r"node: expected keys with values \(.*:1\)"),
        ("[1]", "the file: expected keys with values"),
        ("node: {id: 7}", r"node.id: expected str, got int \(.*:1\)"),
        ("node:\n  id: a\n  id: b", r"node.id: given twice \(.*:3\)"),
        ("node: {listen_address: 2379}", "node.listen_address: expected host:port"),
        ("node: {listen_address: 'a'}", 'node.listen_address: "a" has no port'),
        ("node: {peer_addresses: ['a:1', 'b']}", r'"b" has no port.* at item \[1\]'),
        ("replication: {peer_timeout: 5}", 'peer_timeout: "5" lacks a unit: write 5s'),
        ("replication: {peer_timeout: true}", "peer_timeout: expected a duration like 1h30m"),
        ("replication: {enabled: 'yes'}", "replication.enabled: expected bool, got str"),
        ("store: {backend: etdc}", r'"etdc" is none of embedded, etcd; did you mean etcd\?'),
        ("store: {backend: etcd}", "store.endpoints: the backend etcd needs at least one"),
        ("store: {endpoints: ['ftp://a:1']}", "unknown scheme: use http:// or https://"),
        ("store: {endpoints: [a]}", '"a" has no port'),
        ("store: {cert_file: a}", "store.cert_file and store.key_file go together"),
        ("store: {log_retention: -1s}", "store.log_retention: must not be negative"),
        ("node: {shutdown_timeout: 0}", "node.shutdown_timeout: must be longer than 0"),
        ("etcd: {max_txn_ops: 0}", "etcd.max_txn_ops: expected int >= 1"),
        ("security: {tls_enabled: true}", "security.tls_enabled: there is no certificate"),
        ("security: {handshake_timeout: 0}", "security.handshake_timeout: must be longer than 0"),
    ],
)
def test_what_is_wrong_is_refused_by_name_place_and_reason(
    write: Callable[[str], Path], text: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(file=write(text))


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("DECUBE_API_REST_ADRESS", "a:1", "did you mean DECUBE_API_REST_ADDRESS"),
        ("DECUBE_NONSENSE", "", "DECUBE_NONSENSE: no such setting; `decube config default` lists"),
        ("DECUBE_API_REST_ENABLED", "perhaps", '"perhaps" is neither true nor false'),
        ("DECUBE_ETCD_MAX_TXN_OPS", "many", '"many" is not a whole number'),
        (
            "DECUBE_SECURITY_TLS_ENABLED",
            "1",
            r"there is no certificate.*DECUBE_SECURITY_TLS_ENABLED",
        ),
    ],
)
def test_a_bad_variable_is_refused_by_name(variable: str, value: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(environment={variable: value})


def test_all_problems_are_told_at_once(write: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file=write("nod: 1\netcd: {max_txn_ops: 0}"), environment={"DECUBE_X": "1"})
    assert len(caught.value.problems) == 3


def test_the_variables_of_clients_and_of_kubernetes_are_let_pass() -> None:
    load(
        environment={
            "DECUBE_ADDRESS": "http://127.0.0.1:8080",
            "DECUBE_ENDPOINTS": "127.0.0.1:2379",
            "DECUBE_SERVICE_HOST": "10.0.0.1",
            "DECUBE_SERVICE_PORT_REST": "8080",
            "DECUBE_PORT": "tcp://10.0.0.1:8080",
            "DECUBE_PORT_8080_TCP_ADDR": "10.0.0.1",
            "PATH": "/bin",
        }
    )


def test_the_original_file_loads_and_names_what_has_no_effect() -> None:
    loaded = load(file=ORIGINAL)
    assert loaded.settings.node.listen_address == Address("0.0.0.0", 2379)  # noqa: S104 - its value
    assert loaded.settings.etcd.wal_dir == "/var/lib/decube/etcd/wal"
    assert loaded.settings.replication.peer_timeout == parse_duration("5s")
    idle = {key.path for key in loaded.without_effect()}
    assert {"etcd.heartbeat_interval", "replication.enabled", "logging.max_size"} <= idle
    assert not any(path.startswith(("api.", "node.id")) for path in idle)


@pytest.mark.parametrize(
    ("text", "retention"),
    [("24", "24h"), ("90m", "90m"), ("0", "0"), ('""', "0"), ('"1"', "1h"), ('"1h30m"', "1h30m")],
)
def test_a_retention_may_be_given_as_etcd_has_it(
    write: Callable[[str], Path], text: str, retention: str
) -> None:
    loaded = load(file=write(f"etcd: {{auto_compaction_retention: {text}}}"))
    assert loaded.settings.etcd.auto_compaction_retention == parse_duration(retention)
    given = {"DECUBE_ETCD_AUTO_COMPACTION_RETENTION": text.strip('"')}
    loaded = load(environment=given)
    assert loaded.settings.etcd.auto_compaction_retention == parse_duration(retention)


def test_an_empty_file_and_empty_sections_mean_the_defaults(write: Callable[[str], Path]) -> None:
    assert load(file=write("")).settings == load().settings
    assert load(file=write("node:\napi:\n  rest:\n")).settings == load().settings


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"a: [", r"not valid YAML: .*line"), (b"\xff\xfe\xff", "not UTF-8")],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(Invalid, match=complaint):
        load(file=path)
    with pytest.raises(Invalid, match=r"cannot read the configuration file .*No such file"):
        load(file=tmp_path / "absent.yaml")


def test_the_defaults_listen_on_this_machine_only() -> None:
    settings = load().settings
    listeners = (settings.node.listen_address, settings.api.rest.address, settings.api.grpc.address)
    assert all(address.is_loopback for address in listeners)


def test_the_file_of_defaults_changes_nothing(write: Callable[[str], Path]) -> None:
    loaded = load(file=write(describe.default_file()))
    assert loaded.settings == load().settings
    assert DEFAULT not in loaded.origins.values()


def test_the_reference_page_is_the_generated_one() -> None:
    page = ORIGINAL.parents[1] / "docs" / "configuration.md"
    assert page.read_text() == describe.reference(), "run `python tools/gendocs.py`"


def test_secrets_are_masked_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    table = dict(keys())
    table["store.key_file"] = dataclasses.replace(table["store.key_file"], secret=True)
    monkeypatch.setattr(describe, "keys", lambda: table)
    loaded = load(environment={"DECUBE_STORE_KEY_FILE": "hunter2", "DECUBE_STORE_CERT_FILE": "c"})
    assert describe.shown(loaded)["store.key_file"] == (describe.MASK, "DECUBE_STORE_KEY_FILE")
    assert "hunter2" not in json.dumps(describe.nested(loaded))
    assert describe.shown(load())["store.key_file"] == ("", DEFAULT), "nothing is not masked"


def test_a_password_in_an_endpoint_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment={"DECUBE_STORE_ENDPOINTS": "http://root:hunter2@127.0.0.1:2379"})
    assert "holds a user" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_the_schema_knows_every_key() -> None:
    document = json.loads(json.dumps(describe.schema()))
    for path in keys():
        place = document
        for name in path.split("."):
            place = place["properties"][name]
        assert place["description"], path
        assert "default" in place, path
