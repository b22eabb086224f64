"""How the embedded store is opened and its port served. Every queue has its bound here."""

from __future__ import annotations

from pathlib import Path

import msgspec

from decube.kit.errors import Invalid
from decube.store.limits import REQUEST_BYTES_MAX

MIB = 1 << 20
DAY_S = 24 * 60 * 60

_ONE_AT_LEAST = (
    "segment_bytes",
    "checkpoints_kept",
    "queue_length_max",
    "txn_operations_max",
    "lease_ttl_s_min",
)


class EmbeddedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The engine and its bounds. Without `log_dir` it is `memory`: gone with the process.

    Checkpoints live beside the log unless `checkpoint_dir` says otherwise. `quota_bytes` counts the
    live image and the uncompacted history; None is no quota.

    A checkpoint is due when the log since the last one is longer than `checkpoint_bytes_min` and
    than the image, or than the state where that has become smaller; fewer entries than
    `checkpoint_entries_min` put it off, up to four times that length. `checkpoints_kept` of them
    stay, and of the segments they cover those that are within `log_retention_s`,
    `log_retention_bytes` and `covered_segments_max`.
    """

    log_dir: Path | None = None
    checkpoint_dir: Path | None = None
    quota_bytes: int | None = None
    segment_bytes: int = 64 * MIB
    checkpoint_bytes_min: int = 64 * MIB
    checkpoint_entries_min: int = 0
    checkpoints_kept: int = 2
    covered_segments_max: int | None = None
    log_retention_s: float = DAY_S
    log_retention_bytes: int = 1024 * MIB
    queue_length_max: int = 50_000
    txn_operations_max: int = 128
    request_bytes_max: int = REQUEST_BYTES_MAX
    lease_ttl_s_min: int = 2
    watch_queue_bytes_max: int = 4 * MIB
    watch_progress_interval_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what the engine could not honour."""
        if self.log_dir is None and self.checkpoint_dir is not None:
            raise Invalid("checkpoints without a log restore nothing", field="checkpoint_dir")
        for field in _ONE_AT_LEAST:
            if getattr(self, field) < 1:
                raise Invalid(f"{field} must be at least 1", field=field)

    @property
    def backend(self) -> str:
        """What `StoreStatus.backend` says."""
        return "embedded-memory" if self.log_dir is None else "embedded-log"


class ListenerTls(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate of a listener of the core; all files in PEM, looked at once an interval.

    `client_auth` is `none`, `request` (a client's certificate is checked if it shows one) or
    `require`; the latter two need `ca_file`.
    """

    cert_file: Path
    key_file: Path
    ca_file: Path | None = None
    client_auth: str = "none"
    reload_interval_s: float = 3.0
    handshake_timeout_s: float = 10.0


class ListenerTlsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate in use ends at `not_after_s` since the epoch.

    `refused` tells why the files as they are now are not in use.
    """

    not_after_s: int
    refused: str | None
    handshake_failures: int


class EtcdListenerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How etcd's API is served. Port 0 takes a free one.

    Members are told to connect to `advertise_client_urls`, or to the address listened on.
    """

    address: str = "127.0.0.1:2379"
    advertise_client_urls: tuple[str, ...] = ()
    advertise_peer_urls: tuple[str, ...] = ()
    member_name: str = "default"
    product_version: str = ""
    request_bytes_max: int = REQUEST_BYTES_MAX
    connections_max: int = 20_000
    watch_progress_notify_interval_s: float = 600.0
    tls: ListenerTls | None = None
