"""Every setting: its type, its default, what it means, and whether it has an effect yet.

This is the one place where a key is declared. The loader, the environment variables, `decube
config`, the JSON schema and docs/configuration.md are all derived from it, through `keys.py`. The
shape is that of the original's file, so that it loads unchanged; keys of ours are additions.

The defaults are those of a first try on one machine: they listen on loopback only.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from decube.kit.addresses import Address
from decube.kit.durations import Duration, parse_duration


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of keys."""


def _idle(description: str, reason: str) -> Meta:
    """Describe a key that has no effect; `reason` is told when somebody sets it."""
    return Meta(description=description, extra={"no_effect": reason})


def _count(description: str, *, least: int = 1) -> Meta:
    return Meta(description=description, ge=least)


_NO_CLUSTER = "one embedded store elects nobody: an etcd cluster has it among its own flags"
_MIB = 1 << 20
_GIB = 1 << 30


class NodeSettings(Section, frozen=True, kw_only=True):
    """This process."""

    id: Annotated[
        str,
        Meta(
            description="Name of this node, unique among its peers: up to 253 printable "
            "characters.",
            min_length=1,
        ),
    ] = "node-1"
    data_dir: Annotated[
        str,
        Meta(
            description="Where everything durable lives. Empty: /var/lib/decube where that is "
            "writable, else $XDG_STATE_HOME/decube (~/.local/state/decube)."
        ),
    ] = ""
    listen_address: Annotated[
        Address, Meta(description="Where the etcd v3 API listens (backend `embedded` only).")
    ] = Address("127.0.0.1", 2379)
    advertise_host: Annotated[
        str,
        Meta(
            description="Host name or address by which others reach this node. Empty: the one a "
            "listener is bound to; for one on all interfaces, that of the default route."
        ),
    ] = ""
    peer_addresses: Annotated[
        tuple[Address, ...],
        Meta(description="Where the peers replicate: their `replication.listen_address`."),
    ] = ()
    shutdown_timeout: Annotated[
        Duration,
        Meta(description="How long requests under way may take to end after SIGTERM."),
    ] = parse_duration("10s")


class StoreSettings(Section, frozen=True, kw_only=True):
    """The store beneath everything."""

    backend: Annotated[
        Literal["embedded", "etcd"],
        Meta(description="`embedded`: our engine in this process. `etcd`: any etcd v3 endpoint."),
    ] = "embedded"
    engine: Annotated[
        Literal["log", "memory"],
        Meta(description="Engine of the embedded store. `memory` forgets everything at the end."),
    ] = "log"
    log_retention: Annotated[
        Duration,
        Meta(description="How long log segments that a checkpoint covers are kept."),
    ] = parse_duration("24h")
    log_retention_bytes: Annotated[
        int, _count("How many bytes of such segments are kept at most.", least=0)
    ] = _GIB
    endpoints: Annotated[
        tuple[str, ...],
        Meta(description="Endpoints of the backend `etcd`: host:port, or http(s)://host:port."),
    ] = ()
    ca_file: Annotated[
        str, Meta(description="CA certificates (PEM) that vouch for https endpoints.")
    ] = ""
    cert_file: Annotated[str, Meta(description="Client certificate (PEM) for the endpoints.")] = ""
    key_file: Annotated[str, Meta(description="Private key (PEM) of `store.cert_file`.")] = ""
    username: Annotated[
        str, Meta(description="User of endpoints that have authentication enabled.")
    ] = ""
    password: Annotated[
        str, Meta(description="Password of `store.username`.", extra={"secret": True})
    ] = ""
    connect_timeout: Annotated[
        Duration, Meta(description="How long start-up waits for an endpoint to answer.")
    ] = parse_duration("10s")
    request_timeout: Annotated[
        Duration, Meta(description="How long one request to an endpoint may take.")
    ] = parse_duration("5s")
    leader_ttl: Annotated[
        Duration,
        Meta(
            description="On the backend `etcd`: how long after a leader's death another node leads."
        ),
    ] = parse_duration("10s")


class EtcdSettings(Section, frozen=True, kw_only=True):
    """The embedded etcd-compatible store."""

    name: Annotated[str, Meta(description="Member name told to etcd clients.", min_length=1)] = (
        "node-1"
    )
    data_dir: Annotated[
        str, Meta(description="Where checkpoints live. Empty: `etcd` in `node.data_dir`.")
    ] = ""
    wal_dir: Annotated[
        str, Meta(description="Where the log lives. Empty: `wal` in `etcd.data_dir`.")
    ] = ""
    snapshot_count: Annotated[
        int,
        _count(
            "Entries of the log that a checkpoint waits for, beside its size: one is due when the "
            "log since the last is longer than 64 MiB and than that one, or than the store where "
            "that is smaller by now, and has so many entries or four times that length.",
            least=0,
        ),
    ] = 10_000
    heartbeat_interval: Annotated[
        int, _idle("Raft heartbeat of a real etcd, in ms.", _NO_CLUSTER)
    ] = 100
    election_timeout: Annotated[
        int, _idle("Raft election timeout of a real etcd, in ms.", _NO_CLUSTER)
    ] = 1000
    max_snapshots: Annotated[
        int, _count("Checkpoints to keep, each an image of the whole store.")
    ] = 2
    max_wals: Annotated[
        int,
        _count(
            "Log segments (64 MiB) to keep of those that a checkpoint covers, within "
            "`store.log_retention`; 0 for any number.",
            least=0,
        ),
    ] = 0
    auto_compaction_retention: Annotated[
        Duration,
        Meta(
            description="How much history is kept for watches and old reads. A bare number is "
            "hours, as etcd has it; 0 or empty: all of it.",
            extra={"bare_number": "h"},
        ),
    ] = parse_duration("1h")
    quota_backend_bytes: Annotated[
        int,
        _count("Size above which the store refuses writes; 0 for no limit.", least=0),
    ] = 4 * _GIB
    max_request_bytes: Annotated[int, _count("Largest request an etcd client may send.")] = (
        1_572_864
    )
    max_txn_ops: Annotated[
        int, _count("Most compares, and operations of either branch, in a transaction.")
    ] = 128
    max_connections: Annotated[int, _count("Most open connections of etcd clients.")] = 20_000
    watch_progress_notify_interval: Annotated[
        Duration, Meta(description="How often idle watches that want it hear of progress.")
    ] = parse_duration("10m")


class RestSettings(Section, frozen=True, kw_only=True):
    """The REST API."""

    enabled: Annotated[bool, Meta(description="Whether the REST API is served.")] = True
    address: Annotated[Address, Meta(description="Where it listens.")] = Address("127.0.0.1", 8080)
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins whose web pages may call the API. `*` lets any page drive an API "
            "that has no authentication."
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Host names that a listener on loopback answers to beside those of "
            "loopback: what a proxy on this machine passes on. Other listeners answer to any."
        ),
    ] = ()
    max_body_bytes: Annotated[int, _count("Largest request body.")] = _MIB
    max_connections: Annotated[int, _count("Most open connections.")] = 1024
    timeout: Annotated[
        Duration,
        Meta(description="How long a client may take to send a request, or to accept a chunk."),
    ] = parse_duration("15s")


class GrpcSettings(Section, frozen=True, kw_only=True):
    """The gRPC API."""

    enabled: Annotated[bool, Meta(description="Whether the gRPC API is served.")] = True
    address: Annotated[Address, Meta(description="Where it listens.")] = Address("127.0.0.1", 9090)
    max_message_bytes: Annotated[int, _count("Largest message of a client.")] = _MIB


class ApiSettings(Section, frozen=True, kw_only=True):
    """The APIs for users."""

    rest: RestSettings = RestSettings()
    grpc: GrpcSettings = GrpcSettings()


class ReplicationSettings(Section, frozen=True, kw_only=True):
    """Replication to peers."""

    enabled: Annotated[
        bool, Meta(description="False: the node replicates nothing, whatever its role.")
    ] = True
    role: Annotated[
        Literal["none", "primary", "standby"],
        Meta(
            description="The node's part at its first start; promotions and demotions, which the "
            "node remembers, change it. `none`: nothing replicates."
        ),
    ] = "none"
    listen_address: Annotated[
        Address, Meta(description="Where peers replicate; opened only with a role.")
    ] = Address("127.0.0.1", 2380)
    token: Annotated[
        str,
        Meta(
            description="What peers prove themselves by where there is no TLS: the same on all.",
            extra={"secret": True},
        ),
    ] = ""
    peer_timeout: Annotated[
        Duration, Meta(description="How long a peer may be silent before the connection is cut.")
    ] = parse_duration("5s")
    retry_interval: Annotated[
        Duration, Meta(description="Pause before a peer is tried again; grows when it is down.")
    ] = parse_duration("1s")
    max_retries: Annotated[
        int, _count("Tries before a peer is reported down. It is tried again for ever.", least=0)
    ] = 3


class SnapshotEncryptionSettings(Section, frozen=True, kw_only=True):
    """Encryption of snapshots by age."""

    recipients: Annotated[
        tuple[str, ...],
        Meta(
            description="Public keys, `age1...` or SSH, of whoever may read the snapshots. None: "
            "they are not encrypted."
        ),
    ] = ()
    identity_file: Annotated[
        str,
        Meta(
            description="File with the private key of one of them, which restoring needs. Taking "
            "snapshots does not."
        ),
    ] = ""


class SnapshotSettings(Section, frozen=True, kw_only=True):
    """Snapshots."""

    enabled: Annotated[
        bool, Meta(description="Whether to take snapshots by time; others can always be taken.")
    ] = True
    interval: Annotated[
        Duration,
        Meta(description="Time between two of them. Skipped when nothing was written since."),
    ] = parse_duration("1h")
    retention_count: Annotated[
        int, _count("How many of those by time are kept; others stay until they are deleted.")
    ] = 10
    compression: Annotated[bool, Meta(description="Whether they are compressed, by zstd.")] = True
    location: Annotated[
        str,
        Meta(
            description="Where they are kept: a folder, `s3://bucket/prefix`, `gs://bucket/prefix` "
            "or `az://container/prefix`. Empty: `snapshots` in `node.data_dir`."
        ),
    ] = ""
    encryption: SnapshotEncryptionSettings = SnapshotEncryptionSettings()

    @property
    def has_location_or_keys(self) -> bool:
        """Whether it says what only those who keep and encrypt snapshots can check."""
        return bool(self.location) or self.encryption != SnapshotEncryptionSettings()


class LoggingSettings(Section, frozen=True, kw_only=True):
    """Logs."""

    level: Annotated[
        Literal["debug", "info", "warn", "warning", "error"],
        Meta(description="Least level that is logged; `warn` is `warning`."),
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Meta(
            description="`json`: one object a line. `console`: lines for people. `auto`: `console` "
            "on a terminal, else `json`."
        ),
    ] = "auto"
    output: Annotated[
        str, Meta(description="`stdout`, `stderr` or the path of a file.", min_length=1)
    ] = "stdout"
    max_size: Annotated[int, _count("Size in MiB at which a log file is rotated.")] = 100
    max_backups: Annotated[int, _count("Rotated files to keep; 0 for any number.", least=0)] = 3
    max_age: Annotated[int, _count("Days to keep a rotated file; 0 for ever.", least=0)] = 28


class ListenerSecurity(Section, frozen=True, kw_only=True):
    """What one listener has instead of the keys of `security` with the same names."""

    cert_file: Annotated[str, Meta(description="Its certificate; together with `key_file`.")] = ""
    key_file: Annotated[str, Meta(description="Private key of that certificate.")] = ""
    ca_file: Annotated[str, Meta(description="CAs of its clients.")] = ""
    client_auth: Annotated[
        Literal["auto", "none", "request", "require"],
        Meta(
            description="As `security.client_auth`. `auto`: that one, or `require` with a `ca_file`"
            " of its own. The gRPC listener knows no `request`."
        ),
    ] = "auto"


class SecurityListeners(Section, frozen=True, kw_only=True):
    """Listeners that differ from the others."""

    rest: ListenerSecurity = ListenerSecurity()
    grpc: ListenerSecurity = ListenerSecurity()
    etcd: ListenerSecurity = ListenerSecurity()
    peer: ListenerSecurity = ListenerSecurity()


class SecuritySettings(Section, frozen=True, kw_only=True):
    """TLS: one certificate for all listeners, or one for each. docs/howto/tls.md shows it."""

    tls_enabled: Annotated[
        bool,
        Meta(description="Whether the listeners speak TLS (1.2 and above), all of them."),
    ] = False
    cert_file: Annotated[
        str,
        Meta(
            description="Certificate (PEM) that the listeners show, and the ones that link it to "
            "its CA, in this order."
        ),
    ] = ""
    key_file: Annotated[
        str, Meta(description="Private key (PEM, without a passphrase) of the certificate.")
    ] = ""
    ca_file: Annotated[
        str, Meta(description="CAs (PEM) whose client certificates are accepted.")
    ] = ""
    client_auth: Annotated[
        Literal["auto", "none", "request", "require"],
        Meta(
            description="Whether clients must show a certificate of `ca_file`. `request`: only "
            "those that show one are checked. `auto`: `require` with a `ca_file`, else `none`."
        ),
    ] = "auto"
    reload_interval: Annotated[
        Duration,
        Meta(
            description="How often the files are looked at; what changed serves the next "
            "connections."
        ),
    ] = parse_duration("5s")
    handshake_timeout: Annotated[
        Duration, Meta(description="How long a client may take for the TLS handshake.")
    ] = parse_duration("15s")
    listeners: SecurityListeners = SecurityListeners()


class Settings(Section, frozen=True, kw_only=True):
    """All of it. Immutable; made by `config.load`."""

    node: NodeSettings = NodeSettings()
    store: StoreSettings = StoreSettings()
    etcd: EtcdSettings = EtcdSettings()
    api: ApiSettings = ApiSettings()
    replication: ReplicationSettings = ReplicationSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    logging: LoggingSettings = LoggingSettings()
    security: SecuritySettings = SecuritySettings()
