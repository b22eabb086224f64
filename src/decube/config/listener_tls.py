"""Which certificate each listener shows, and what it asks of its clients: the settings, resolved.

A listener has its own files where `security.listeners.<name>` names them, else the common ones. A
certificate and its key go together, so they are taken from the same place. Pure: whether the files
are any good is seen when they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from decube.config.settings import ListenerSecurity, SecuritySettings, Settings

ClientAuth = Literal["none", "request", "require"]
ListenerName = Literal["rest", "grpc", "etcd", "peer"]

LISTENERS: Final[tuple[ListenerName, ...]] = ("rest", "grpc", "etcd", "peer")
_COMMON: Final = "security"
_FILES: Final = ("cert_file", "key_file", "ca_file")


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file, and the key that names it."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """The TLS of one listener. `authorities` is there unless `client_auth` is `none`."""

    certificate: NamedFile
    private_key: NamedFile
    authorities: NamedFile | None
    client_auth: ClientAuth


def tls_of(settings: Settings, name: ListenerName) -> ListenerTls | None:
    """Return the TLS of a listener, or None when it speaks plain text.

    For settings that were loaded, which are free of contradictions.
    """
    security = settings.security
    if not security.tls_enabled:
        return None
    own: ListenerSecurity = getattr(security.listeners, name)
    place = _own(name)
    pair = (place, own) if own.cert_file else (_COMMON, security)
    trust = (place, own) if own.ca_file else (_COMMON, security)
    client_auth = _client_auth(security, own)
    return ListenerTls(
        certificate=NamedFile(Path(pair[1].cert_file), f"{pair[0]}.cert_file"),
        private_key=NamedFile(Path(pair[1].key_file), f"{pair[0]}.key_file"),
        authorities=None
        if client_auth == "none"
        else NamedFile(Path(trust[1].ca_file), f"{trust[0]}.ca_file"),
        client_auth=client_auth,
    )


def listeners_off(settings: Settings) -> Mapping[ListenerName, str]:
    """Return the listeners that are not opened, each with the reason."""
    off: dict[ListenerName, str] = {}
    if settings.replication.role == "none" or not settings.replication.enabled:
        off["peer"] = "nothing replicates"
    if not settings.api.rest.enabled:
        off["rest"] = "api.rest.enabled is false"
    if not settings.api.grpc.enabled:
        off["grpc"] = "api.grpc.enabled is false"
    if settings.store.backend == "etcd":
        off["etcd"] = "on the backend etcd there is no etcd port"
    return off


def without_effect(settings: Settings) -> Mapping[str, str]:
    """Return the keys of `security` that do nothing beside the others, each with the reason."""
    names = (*_FILES, "client_auth", "reload_interval", "handshake_timeout")
    if not settings.security.tls_enabled:
        reason = "security.tls_enabled is false"
        common = {f"{_COMMON}.{name}": reason for name in names}
        own = {f"{_own(name)}.{key}": reason for name in LISTENERS for key in names[:4]}
        return {**common, **own}
    return {
        f"{_own(name)}.{key}": reason
        for name, reason in listeners_off(settings).items()
        for key in names[:4]
    }


def contradictions(settings: Settings) -> list[str]:
    """Tell what is missing for TLS, or does not go together, by key."""
    security = settings.security
    if not security.tls_enabled:
        return []
    off = listeners_off(settings)
    on = [name for name in LISTENERS if name not in off]
    problems = [
        f"{place}.cert_file and {place}.key_file go together: set both or none"
        for place, section in _places(security)
        if bool(section.cert_file) != bool(section.key_file)
    ]
    if problems:
        return problems
    bare = [name for name in on if not getattr(security.listeners, name).cert_file]
    if bare and not security.cert_file:
        problems.append(
            "security.tls_enabled: there is no certificate for the listeners "
            f"{', '.join(bare)}: set security.cert_file and security.key_file (`decube certs` "
            "makes a pair), or those of security.listeners"
        )
    problems += [problem for name in on for problem in _client_problems(security, name)]
    return list(dict.fromkeys([*problems, *_unused_authorities(security, on)]))


def _client_problems(security: SecuritySettings, name: ListenerName) -> list[str]:
    own: ListenerSecurity = getattr(security.listeners, name)
    client_auth = _client_auth(security, own)
    place = _COMMON if own.client_auth == "auto" else _own(name)
    if client_auth != "none" and not (own.ca_file or security.ca_file):
        return [f"{place}.client_auth: {client_auth} needs a ca_file, of the CA of the clients"]
    if client_auth == "request" and name == "grpc":
        unknown = "the gRPC listener knows no request, because grpcio does not"
        return [f"{place}.client_auth: {unknown}; set {_own(name)}.client_auth to none or require"]
    return []


def _unused_authorities(security: SecuritySettings, on: list[ListenerName]) -> list[str]:
    """Name each CA that somebody set and no listener verifies anything by."""
    used = set()
    for name in on:
        own: ListenerSecurity = getattr(security.listeners, name)
        if _client_auth(security, own) != "none":
            used.add(_own(name) if own.ca_file else _COMMON)
    # The CA of a listener that is off is named in a warning instead, as all of its keys.
    places = {_COMMON, *(_own(name) for name in on)}
    return [
        f"{place}.ca_file: no listener checks its clients by it; leave it out, or set "
        f"{place}.client_auth to require"
        for place, section in _places(security)
        if section.ca_file and place in places and place not in used
    ]


def _client_auth(security: SecuritySettings, own: ListenerSecurity) -> ClientAuth:
    """Return what a listener asks of its clients; `auto` is resolved from the inside out."""
    if own.client_auth != "auto":
        return own.client_auth
    if own.ca_file:
        return "require"
    if security.client_auth != "auto":
        return security.client_auth
    return "require" if security.ca_file else "none"


def _places(
    security: SecuritySettings,
) -> list[tuple[str, SecuritySettings | ListenerSecurity]]:
    return [
        (_COMMON, security),
        *((_own(name), getattr(security.listeners, name)) for name in LISTENERS),
    ]


def _own(name: ListenerName) -> str:
    return f"{_COMMON}.listeners.{name}"
