"""What a node says when it starts: what to be careful about, and that it is ready."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import structlog

from decube.config.listener_tls import listeners_off, tls_of
from decube.daemon.facts import url

if TYPE_CHECKING:
    from pathlib import Path

    from decube.config.listener_tls import ListenerName
    from decube.config.load import Loaded
    from decube.config.settings import Settings
    from decube.kit.addresses import Address
    from decube.services.node import NodeInfo

_log = structlog.get_logger("decube.daemon")


def warn_about(loaded: Loaded, *, was_primary: bool = False) -> None:
    """Log what somebody set and gets nothing of, and what is dangerous.

    `was_primary`: of others, which the settings know nothing of.
    """
    settings = loaded.settings
    if was_primary:
        _log.warning(
            "the data directory is a primary's, and nothing replicates what is written here:"
            " set replication.role to primary if it has standbys, or was replaced by one",
            setting="replication.role",
        )
    by_reason: dict[str, list[str]] = {}
    for key in loaded.without_effect():
        by_reason.setdefault(str(key.no_effect), []).append(key.path)
    if by_reason:
        _log.warning("these settings have no effect", settings=by_reason)
    if exposed := _exposed(settings):
        missing = "authentication" if settings.security.tls_enabled else "TLS or authentication"
        _log.warning(
            f"listening beyond this machine without {missing}: "
            "whoever reaches these addresses may read and change everything",
            listeners=exposed,
        )
    if settings.api.rest.enabled and "*" in settings.api.rest.cors_origins:
        _log.warning(
            "any web page that a user of this network opens may call the REST API",
            setting="api.rest.cors_origins",
        )
    if settings.store.backend == "etcd":
        _log.warning(
            "on the backend etcd this node serves no etcd API of its own: use the endpoints",
            endpoints=list(settings.store.endpoints),
        )


def tell_ready(info: NodeInfo, settings: Settings, data_directory: Path, store: str) -> None:
    """Say where everything is: on a terminal as a text, else as an event of the log."""
    if not sys.stdout.isatty():
        _log.info(
            "ready",
            node=info.node_id,
            version=info.version,
            rest=info.address,
            grpc=info.grpc_address,
            etcd=info.etcd_address,
            data_dir=str(data_directory),
            store=store,
            pid=os.getpid(),
            try_this=first_command(info, settings),
        )
        return
    rows = [
        ("REST", f"{url(info.address)}   (try it: /docs)" if info.address else "off"),
        ("gRPC", info.grpc_address or "off"),
        ("etcd", info.etcd_address or "off"),
        ("data", f"{data_directory}   ({store})"),
    ]
    lines = [f"DeCube {info.version}, node {info.node_id}, is ready."]
    lines += [f"  {name}   {value}" for name, value in rows]
    lines += [f"Try:  {first_command(info, settings)}", "Stop: Ctrl-C", ""]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def tell_stopping() -> None:
    """Say that the node stops because somebody asked it to."""
    _log.info("stopping: requests under way may end")


def _exposed(settings: Settings) -> dict[str, str]:
    """Return the listeners that others reach and that ask nobody for a certificate."""
    addresses: dict[ListenerName, tuple[str, Address]] = {
        "etcd": ("node.listen_address", settings.node.listen_address),
        "rest": ("api.rest.address", settings.api.rest.address),
        "grpc": ("api.grpc.address", settings.api.grpc.address),
    }
    off = listeners_off(settings)
    return {
        key: str(address)
        for name, (key, address) in addresses.items()
        if name not in off and not address.is_loopback and not _verifies_clients(settings, name)
    }


def _verifies_clients(settings: Settings, name: ListenerName) -> bool:
    tls = tls_of(settings, name)
    return tls is not None and tls.client_auth == "require"


def first_command(info: NodeInfo, settings: Settings) -> str:
    """Return a command that works once the files it names are there: nobody tells us of them."""
    if info.address:
        return f"curl{_client_files(settings, 'rest')} {url(info.address)}/health"
    files = _client_files(settings, "etcd")
    return f"etcdctl{files} --endpoints={info.etcd_address} endpoint status"


def _client_files(settings: Settings, name: ListenerName) -> str:
    """Return the options of curl and etcdctl, which call them alike."""
    tls = tls_of(settings, name)
    if tls is None:
        return ""
    own = " --cert CLIENT.pem --key CLIENT.key" if tls.client_auth == "require" else ""
    return f" --cacert CA.pem{own}"
