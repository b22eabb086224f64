"""Which files each listener shows and asks by, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from decube.config.listener_tls import ListenerTls, NamedFile, tls_of
from decube.config.load import ConfigError, Loaded, load

PAIR = {"security.cert_file": "c.pem", "security.key_file": "k.pem"}


def loaded(**keys: str) -> Loaded:
    """Load settings with TLS on; `__` stands for a dot below `security`."""
    own = {f"security.{name.replace('__', '.')}": value for name, value in keys.items()}
    flags = {"security.tls_enabled": "true", **PAIR, **own}
    return load(flags=[(key, value, "--set") for key, value in flags.items()])


def named(path: str, key: str) -> NamedFile:
    return NamedFile(Path(path), f"security.{key}")


def test_without_tls_no_listener_has_any() -> None:
    assert tls_of(load().settings, "rest") is None


def test_all_listeners_share_the_common_files() -> None:
    settings = loaded().settings
    shared = ListenerTls(named("c.pem", "cert_file"), named("k.pem", "key_file"), None, "none")
    assert {tls_of(settings, name) for name in ("rest", "grpc", "etcd", "peer")} == {shared}


def test_a_listener_takes_its_own_pair_and_the_common_ca() -> None:
    settings = loaded(
        ca_file="ca.pem", listeners__grpc__cert_file="g.pem", listeners__grpc__key_file="gk.pem"
    ).settings
    assert tls_of(settings, "grpc") == ListenerTls(
        named("g.pem", "listeners.grpc.cert_file"),
        named("gk.pem", "listeners.grpc.key_file"),
        named("ca.pem", "ca_file"),
        "require",
    )


@pytest.mark.parametrize(
    ("keys", "client_auth"),
    [
        ({}, "none"),
        ({"ca_file": "ca.pem"}, "require"),
        ({"ca_file": "ca.pem", "listeners__rest__client_auth": "none"}, "none"),
        (
            {
                "ca_file": "ca.pem",
                "client_auth": "request",
                "listeners__grpc__client_auth": "require",
            },
            "request",
        ),
        ({"listeners__rest__ca_file": "own.pem"}, "require"),
        ({"listeners__rest__ca_file": "own.pem", "client_auth": "none"}, "require"),
        (
            {"listeners__rest__ca_file": "own.pem", "listeners__rest__client_auth": "request"},
            "request",
        ),
    ],
)
def test_a_ca_turns_verification_on_unless_something_else_is_said(
    keys: dict[str, str], client_auth: str
) -> None:
    tls = tls_of(loaded(**keys).settings, "rest")
    assert tls is not None
    assert tls.client_auth == client_auth
    assert (tls.authorities is None) == (client_auth == "none")


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"cert_file": ""}, "security.cert_file and security.key_file go together"),
        (
            {"listeners__etcd__key_file": "x"},
            "security.listeners.etcd.cert_file and security.listeners.etcd.key_file go together",
        ),
        (
            {
                "cert_file": "",
                "key_file": "",
                "listeners__rest__cert_file": "a",
                "listeners__rest__key_file": "b",
            },
            "no certificate for the listeners grpc, etcd: set security.cert_file",
        ),
        ({"client_auth": "require"}, "security.client_auth: require needs a ca_file"),
        (
            {"listeners__rest__client_auth": "request"},
            "security.listeners.rest.client_auth: request needs a ca_file",
        ),
        (
            {"ca_file": "ca.pem", "client_auth": "request"},
            "security.client_auth: the gRPC listener knows no request",
        ),
        (
            {"ca_file": "ca.pem", "listeners__grpc__client_auth": "request"},
            "security.listeners.grpc.client_auth: the gRPC listener knows no request",
        ),
        (
            {"ca_file": "ca.pem", "client_auth": "none"},
            "security.ca_file: no listener checks its clients by it",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_key(keys: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        loaded(**keys)


def test_a_listener_that_is_off_needs_no_certificate() -> None:
    own = {
        f"security.listeners.{name}.{kind}_file": "x"
        for name in ("grpc", "etcd")
        for kind in ("cert", "key")
    }
    flags = {"security.tls_enabled": "true", "api.rest.enabled": "false", **own}
    load(flags=[(key, value, "--set") for key, value in flags.items()])


def test_keys_that_do_nothing_are_named_with_the_reason() -> None:
    off = load(flags=[("security.cert_file", "c.pem", "--set")])
    assert [(key.path, key.no_effect) for key in off.without_effect()] == [
        ("security.cert_file", "security.tls_enabled is false")
    ]
    peer = loaded(listeners__peer__client_auth="none")
    assert [key.path for key in peer.without_effect()] == ["security.listeners.peer.client_auth"]
    assert not loaded(reload_interval="1s", handshake_timeout="1s").without_effect()
