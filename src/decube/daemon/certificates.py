"""The certificates of a node's listeners: read before anything else is opened.

Listeners that show the same files share one identity, so that what is wrong with them is told once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.config.listener_tls import LISTENERS, listeners_off, tls_of
from decube.daemon.exits import ExitCode, StartFailure
from decube.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from decube.api.identity import Identity
    from decube.config.listener_tls import ListenerName, ListenerTls
    from decube.config.settings import Settings
    from decube.store.embedded import ListenerTls as CoreTls


class Certificates:
    """The identities by listener; none at all on a node that speaks plain text."""

    def __init__(self, identities: Mapping[ListenerName, Identity]) -> None:
        self._identities = identities

    @property
    def identities(self) -> Mapping[ListenerName, Identity]:
        """All of them."""
        return self._identities

    def of(self, name: ListenerName) -> Identity | None:
        """Return what a listener shows, None where it speaks plain text."""
        return self._identities.get(name)


def read_certificates(settings: Settings, now: datetime) -> Certificates:
    """Read and check what the listeners that are opened shall show. Raises `StartFailure`."""
    if not settings.security.tls_enabled:
        return Certificates({})
    from decube.api.identity import Identity  # noqa: PLC0415 - plain text does not pay for it

    off = listeners_off(settings)
    shared: dict[ListenerTls, Identity] = {}
    identities: dict[ListenerName, Identity] = {}
    for name in LISTENERS:
        tls = tls_of(settings, name)
        if tls is None or name in off:
            continue
        try:
            if tls not in shared:
                shared[tls] = Identity(tls, now)
            if name == "peer":
                _check_calls(shared[tls])
        except Invalid as error:
            raise unusable(error) from error
        identities[name] = shared[tls]
    return Certificates(identities)


def _check_calls(identity: Identity) -> None:
    """Refuse what the peers, which ask for certificates as this node does, would refuse."""
    tls = identity.tls
    if tls.client_auth == "require" and not identity.material.leaf.calls:
        raise Invalid(
            f"{tls.certificate.key}: {tls.certificate.path}: the certificate is for servers only, "
            "and peers are shown it by a client as well (`decube certs issue --client`)",
            field=tls.certificate.key,
        )


def core_tls(settings: Settings, name: ListenerName) -> CoreTls | None:
    """Return what a listener of the core shows; it reads the files itself, and again."""
    tls = tls_of(settings, name)
    if tls is None:
        return None
    from decube.store.embedded import ListenerTls as CoreTls  # noqa: PLC0415 - not on `etcd`

    return CoreTls(
        cert_file=tls.certificate.path,
        key_file=tls.private_key.path,
        ca_file=tls.authorities.path if tls.authorities else None,
        client_auth=tls.client_auth,
        reload_interval_s=settings.security.reload_interval.seconds,
        handshake_timeout_s=settings.security.handshake_timeout.seconds,
    )


def unusable(error: Invalid) -> StartFailure:
    """Return what a refused certificate means to who starts the node."""
    return StartFailure(
        error.message,
        ExitCode.CERTIFICATE_UNUSABLE,
        hint="put the file right, or set another; `decube certs inspect FILE` tells what is in "
        "one, `decube certs issue` makes a pair",
    )
