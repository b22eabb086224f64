"""How a remote store is reached. Every wait and every size has its bound here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from decube.kit.backoff import BackoffPolicy
from decube.kit.errors import Invalid
from decube.store.limits import REQUEST_BYTES_MAX


class TlsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates in PEM files. `cert_file` and `key_file` go together and are ours.

    `server_name` replaces the endpoint's host name when the server's certificate is checked.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Refuse half an identity."""
        if (self.cert_file is None) != (self.key_file is None):
            missing = "key_file" if self.key_file is None else "cert_file"
            raise Invalid("a client certificate needs both its files", field=missing)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A user of an etcd that has authentication enabled. Never shown."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


class Endpoint(msgspec.Struct, frozen=True):
    """Where one etcd member listens."""

    target: str
    tls: bool

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `host:port`, `http://host:port` or `https://host:port`."""
        parts = urlsplit(text if "://" in text else f"http://{text}")
        try:
            port = parts.port
        except ValueError:
            port = None
        extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if parts.scheme not in {"http", "https"} or not parts.hostname or port is None or extra:
            raise Invalid(
                f"endpoint {text!r} is not [http://|https://]host:port", field="endpoints"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(f"{host}:{port}", parts.scheme == "https")


class RemoteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Any etcd v3 endpoints of one cluster; one is used at a time, the next when it fails.

    An endpoint is spoken to in TLS when its scheme is `https` or `tls` is given. Within
    `request_timeout_s` reads are tried again on other endpoints; writes never, once they were sent.
    Without `patient` each endpoint is tried only once, for whoever waits at a terminal.
    A watch that finds no endpoint for `watch_resume_timeout_s` gives up with `Unavailable`.
    """

    endpoints: tuple[str, ...]
    tls: TlsOptions | None = None
    credentials: Credentials | None = None
    request_timeout_s: float = 10.0
    patient: bool = True
    connect_timeout_s: float = 2.0
    watch_resume_timeout_s: float = 60.0
    watch_progress_interval_s: float = 10.0
    watch_queue_batches_max: int = 16
    keep_alive_interval_s: float = 30.0
    keep_alive_timeout_s: float = 10.0
    request_bytes_max: int = REQUEST_BYTES_MAX
    backoff: BackoffPolicy = BackoffPolicy(initial_s=0.05, max_s=2.0)

    def __post_init__(self) -> None:
        """Refuse what could never connect."""
        if not self.endpoints:
            raise Invalid("a remote store needs at least one endpoint", field="endpoints")
        for text in self.endpoints:
            Endpoint.parse(text)
