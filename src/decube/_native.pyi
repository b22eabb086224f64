"""The engine and its etcd listener, for `decube.store.embedded` alone.

Plain data crosses: ints, bytes, tuples, lists. Every call releases the GIL while the engine works;
none waits for the disk but `Engine.open`, `Engine.close` and `EtcdListener.stop`. What takes time
is queued with a ticket; its answer comes back with others of the same group commit through
`Engine.take`, for which `Engine.fileno` becomes readable.

Every call raises `StoreError` and nothing else of its own, with kind `forked` in a process that did
not open the engine and `closed` after `close`. A `TypeError` means a defect in the caller.
"""

# ruff: noqa: PYI021 - the module's documentation is this stub; stubtest holds it to the module

from collections.abc import Callable
from os import PathLike
from typing import Literal, Protocol, TypeAlias, final

__all__ = [
    "Engine",
    "EtcdListener",
    "Image",
    "ImageDecoder",
    "ImageEncoder",
    "ImageInstaller",
    "LogQueue",
    "OfflineRestore",
    "PartsDigest",
    "RangeAnswer",
    "Replication",
    "StoreError",
    "Watch",
    "__version__",
    "read_log",
]

__version__: str

class StoreError(Exception):
    """Why the engine refused: `args` is kind, message, attributes.

    The kind is the engine's own name of the error in snake case, the message one lower-case line
    for people, and the attributes what it is about, by name.
    """

    args: tuple[str, str, dict[str, int | str]]

_Target: TypeAlias = Literal["version", "create_revision", "mod_revision", "value", "lease"]
_Operator: TypeAlias = Literal["=", ">", "<", "!="]
# key, value, create revision, mod revision, version, lease
_KeyValue: TypeAlias = tuple[bytes, bytes, int, int, int, int]
# key, range end, target, operator, operand (bytes for "value")
_Compare: TypeAlias = tuple[bytes, bytes, _Target | str, _Operator | str, int | bytes]
_Operation: TypeAlias = (
    # key, value, lease, prev_kv
    tuple[Literal["put"], bytes, bytes, int, bool]
    # key, range end, limit, revision, keys_only, count_only
    | tuple[Literal["range"], bytes, bytes, int, int, bool, bool]
    # key, range end, prev_kv
    | tuple[Literal["delete"], bytes, bytes, bool]
    # compares, success, failure
    | tuple[Literal["txn"], list[_Compare], list[_Operation], list[_Operation]]
)
_OperationAnswer: TypeAlias = (
    # revision, previous
    tuple[Literal["put"], int, _KeyValue | None]
    # revision, records, count, more
    | tuple[Literal["range"], int, list[_KeyValue], int, bool]
    # revision, deleted, previous
    | tuple[Literal["delete"], int, int, list[_KeyValue]]
    # revision, succeeded, results
    | tuple[Literal["txn"], int, bool, list[_OperationAnswer]]
)
# revision, succeeded, results
_TxnAnswer: TypeAlias = tuple[int, bool, list[_OperationAnswer]]
# To a transaction its answer; to a compaction or a revocation the revision; to a grant the lease
# and its TTL; to a keep-alive the TTL, 0 when there is no such lease.
_Answer: TypeAlias = _TxnAnswer | int | tuple[int, int] | StoreError
# record, deleted, previous
_Event: TypeAlias = tuple[_KeyValue, bool, _KeyValue | None]
_WatchItem: TypeAlias = (
    # whole revisions, oldest first
    tuple[Literal["events"], list[_Event]]
    # everything up to and including this revision was handed out
    | tuple[Literal["progress"], int]
    # the compact revision; nothing follows
    | tuple[Literal["compacted"], int]
    # the store closed; nothing follows
    | tuple[Literal["closed"]]
    # why the store ended the watch; events may be missing, and nothing follows
    | tuple[Literal["failed"], StoreError]
)

class _EngineOptions(Protocol):
    """See `decube.store.embedded.EmbeddedOptions`, which is one."""

    @property
    def log_dir(self) -> PathLike[str] | None: ...
    @property
    def checkpoint_dir(self) -> PathLike[str] | None: ...
    @property
    def quota_bytes(self) -> int | None: ...
    @property
    def segment_bytes(self) -> int: ...
    @property
    def checkpoint_bytes_min(self) -> int: ...
    @property
    def checkpoint_entries_min(self) -> int: ...
    @property
    def checkpoints_kept(self) -> int: ...
    @property
    def covered_segments_max(self) -> int | None: ...
    @property
    def log_retention_s(self) -> float: ...
    @property
    def log_retention_bytes(self) -> int: ...
    @property
    def queue_length_max(self) -> int: ...
    @property
    def txn_operations_max(self) -> int: ...
    @property
    def request_bytes_max(self) -> int: ...
    @property
    def lease_ttl_s_min(self) -> int: ...
    @property
    def watch_queue_bytes_max(self) -> int: ...

@final
class Engine:
    """A running store. Dropping the last reference closes it."""

    @staticmethod
    def open(options: _EngineOptions) -> Engine:
        """Open a store, recovering what its log holds. Blocks; call it off the event loop.

        Kinds: `locked` (path, pid), `corrupt` (path, offset), `newer_format` (path, found,
        supported), `io` (operation, path, errno).
        """

    def fileno(self) -> int:
        """Return a descriptor that is readable while `take` has something. Never read it."""

    def take(self) -> tuple[list[tuple[int, _Answer]], list[int]]:
        """Take the answers that came since the last call, by ticket, and the watches to look at."""

    def range(
        self, key: bytes, end: bytes, limit: int, revision: int, keys_only: bool, count_only: bool
    ) -> RangeAnswer:
        """Read at one revision; in the caller's thread, without waiting for the disk.

        Kinds: `key_empty`, `compacted` (compact_revision), `future_revision` (current).
        """

    def submit_txn(
        self,
        ticket: int,
        compares: list[_Compare],
        success: list[_Operation],
        failure: list[_Operation],
    ) -> None:
        """Queue a transaction. What is malformed is refused here; the rest is told in the answer.

        Kinds here: `key_empty`, `too_many_operations`, `duplicate_key`, `request_too_large`
        (limit_bytes), `too_many_requests`, `bad_argument` (field).
        """

    def submit_compact(self, ticket: int, revision: int) -> None:
        """Queue a compaction."""

    def submit_lease_grant(self, ticket: int, lease_id: int, ttl_s: int) -> None:
        """Queue a grant; with `lease_id` 0 the engine chooses."""

    def submit_lease_revoke(self, ticket: int, lease_id: int) -> None:
        """Queue a revocation."""

    def submit_lease_keep_alive(self, ticket: int, lease_id: int) -> None:
        """Queue a keep-alive."""

    def lease_status(self, lease_id: int, with_keys: bool) -> tuple[int, int, list[bytes]]:
        """Return remaining and granted TTL in seconds, and the keys if asked for.

        Kind: `lease_not_found`.
        """

    def leases(self) -> list[int]:
        """Return all live leases in order."""

    def status(self) -> dict[str, int]:
        """Return the engine's figures (`decube_engine::Status`); `latched`, `standby`: 0 or 1."""

    def is_primary(self) -> bool:
        """Tell whether replication made it the primary; that outlives the process."""

    def troubles(self) -> tuple[str | None, str | None]:
        """Tell why writes are refused, and why a checkpoint or the log's upkeep failed last."""

    def hash_kv(self, revision: int) -> tuple[int, int, int, int]:
        """Return hash, hash revision, compact revision and revision, as etcd's HashKV.

        Reads the whole history; call it off the event loop.
        """

    def watch(self, key: bytes, end: bytes, start_revision: int, prev_kv: bool) -> Watch:
        """Open a watch. Kinds: `watch_range_empty`, `compacted`, `too_many_watchers`."""

    def serve_etcd(self, options: _EtcdListenerOptions) -> EtcdListener:
        """Serve etcd's API on a port of its own, from threads of its own.

        Kinds: `address_in_use` (address), `io` (address, errno), `bad_argument` (field).
        """

    def start_replication(self, options: _ReplicationOptions) -> Replication:
        """Take a part in replication; `role` is that of the first start. Blocks a moment.

        Kinds: `address_in_use` (address), `io` (errno), `bad_argument` (field), `no_log`.
        """

    def open_image(self, history: bool) -> Image:
        """Open an image of what is published now, while writes go on.

        Without `history` it holds what is live, as after a compaction at its revision; with it, all
        that `hash_kv` covers. Kind: `too_many_requests`, with very many open.
        """

    def open_installer(self, mode: str) -> ImageInstaller:
        """Begin to install an image, which changes nothing yet; `mode` is `restore` or `reseed`."""

    def close(self) -> None:
        """Make durable and answer what is queued, end watches, release the lock. Blocks.

        Closing twice is fine; the answers can still be taken.
        """

class _EtcdListenerOptions(Protocol):
    """See `decube.store.embedded.EtcdListenerOptions`, which is one."""

    @property
    def address(self) -> str: ...
    @property
    def advertise_client_urls(self) -> tuple[str, ...]: ...
    @property
    def advertise_peer_urls(self) -> tuple[str, ...]: ...
    @property
    def member_name(self) -> str: ...
    @property
    def product_version(self) -> str: ...
    @property
    def request_bytes_max(self) -> int: ...
    @property
    def connections_max(self) -> int: ...
    @property
    def watch_progress_notify_interval_s(self) -> float: ...
    @property
    def tls(self) -> _ListenerTls | None: ...

class _ListenerTls(Protocol):
    """See `decube.store.embedded.ListenerTls`, which is one."""

    @property
    def cert_file(self) -> PathLike[str]: ...
    @property
    def key_file(self) -> PathLike[str]: ...
    @property
    def ca_file(self) -> PathLike[str] | None: ...
    @property
    def client_auth(self) -> str: ...
    @property
    def reload_interval_s(self) -> float: ...
    @property
    def handshake_timeout_s(self) -> float: ...

@final
class EtcdListener:
    """A port that serves etcd's API. Dropping it stops it."""

    @property
    def address(self) -> str:
        """Where it listens, as host:port, with the port it really got."""

    def tls_status(self) -> tuple[int, str | None, int] | None:
        """Return the end of the certificate in use, a refusal, and the failed handshakes.

        In seconds since the epoch; the refusal is of the files as they are now. None without TLS.
        """

    def stop(self, grace_s: float) -> None:
        """Take no more connections, let calls finish for that long, then cut. Blocks.

        Stopping twice is fine.
        """

class _PeerTls(Protocol):
    """See `decube.store.embedded.replication.PeerTls`, which is one."""

    @property
    def cert_file(self) -> PathLike[str]: ...
    @property
    def key_file(self) -> PathLike[str]: ...
    @property
    def ca_file(self) -> PathLike[str] | None: ...
    @property
    def client_auth(self) -> str: ...
    @property
    def reload_interval_s(self) -> float: ...

class _ReplicationOptions(Protocol):
    """See `decube.store.embedded.replication.ReplicationOptions`, which is one."""

    @property
    def role(self) -> str: ...
    @property
    def node_id(self) -> str: ...
    @property
    def listen_address(self) -> str: ...
    @property
    def peer_addresses(self) -> tuple[str, ...]: ...
    @property
    def token(self) -> str: ...
    @property
    def tls(self) -> _PeerTls | None: ...
    @property
    def peer_timeout_s(self) -> float: ...
    @property
    def retry_interval_s(self) -> float: ...
    @property
    def retries_max(self) -> int: ...

@final
class Replication:
    """A store's part in replication. Dropping it ends it; to be stopped before the store closes."""

    @property
    def address(self) -> str:
        """Where peers are answered, as host:port, with the port it really got."""

    def state(self) -> dict[str, object]:
        """Return what `decube.store.embedded.replication.MemberState` is made of."""

    def tails(self) -> tuple[str, ...]:
        """Return the files that hold what was never replicated. Lists a directory."""

    def ask_peers(self) -> None:
        """Have a primary hear whether another was made the primary; blocks for two seconds."""

    def announce(self, rest: str, grpc: str, etcd: str) -> None:
        """Tell peers where this node's ports are, "" for none; peers are dialed from then on."""

    def promote(self) -> None:
        """Become the primary of a new term. Blocks while an image of the store is written.

        Kinds: `role_held`, and those of `ImageInstaller.commit`.
        """

    def demote(self) -> None:
        """Become a standby. Blocks a moment. Kind: `role_held`."""

    def copy_revisions(
        self, revisions: list[tuple[int, list[tuple[bytes, bytes | None, int]]]]
    ) -> int:
        """Apply revisions of the primary, each with its writes: key, value (None: delete), lease.

        Returns the revision that the store is at then. Blocks for the disk. Kinds: `not_standby`,
        `revision_gap` (wanted), `fed`, `bad_argument` (entries), and those of `submit_txn`.
        """

    def stop(self) -> None:
        """Leave the peers. Blocks a moment; stopping twice is fine."""

@final
class RangeAnswer:
    """The answer to a range; its records are made Python objects page by page."""

    @property
    def revision(self) -> int:
        """The store's revision when it was read."""

    @property
    def count(self) -> int:
        """All keys of the range, whatever the limit."""

    @property
    def more(self) -> bool:
        """Whether the limit cut the answer."""

    def take(self, records_max: int) -> list[_KeyValue]:
        """Take the next records; an empty list when there are none left."""

@final
class Watch:
    """One watch. Dropping it ends it."""

    @property
    def id(self) -> int:
        """By which `Engine.take` names it."""

    @property
    def revision(self) -> int:
        """The store's revision when the watch was made."""

    def take(self, bytes_max: int) -> list[_WatchItem]:
        """Take what is ready, about that many bytes. After an empty list `Engine.take` names it."""

    def request_progress(self) -> None:
        """Ask for a progress item, behind all events it speaks for; none while it is behind."""

    def close(self) -> None:
        """End the watch. Closing twice is fine."""

@final
class Image:
    """An open image of the store: the bytes of a checkpoint file. Dropping it closes it.

    While it is open, and read within a minute, compactions drop nothing that it has yet to read.
    """

    @property
    def revision(self) -> int:
        """The revision that it is of."""

    def take(self, bytes_max: int) -> bytes:
        """Take about the next so many bytes; none behind the end. Off the event loop.

        Kind: `image_lost`, when it was closed, idle for too long, or the store was restored.
        """

    def write_file(self, path: PathLike[str], bytes_max: int) -> tuple[int, str, bool]:
        """Write the next bytes to a file (or `OSError`): how many, their SHA-256, if it was all."""

    def sha256(self) -> str:
        """Digest all that was written to files."""

    def close(self) -> None:
        """Let go of it. Closing twice is fine."""

_ImageItem: TypeAlias = (
    # sequence, term, revision, compact revision
    tuple[Literal["head"], int, int, int, int]
    # member, kind
    | tuple[Literal["alarm"], int, Literal["no_space", "corrupt"]]
    # lease, TTL in seconds, wall time in seconds when it runs out
    | tuple[Literal["lease"], int, int, float]
    | tuple[Literal["put"], _KeyValue]
    # key, revision
    | tuple[Literal["tombstone"], bytes, int]
)

@final
class ImageEncoder:
    """Makes an image of any store: first leases, in order, then keys, in order.

    Nothing is checked here; who reads it does that. To be taken from while it is fed.
    """

    def __new__(
        cls, revision: int, compact_revision: int, cluster_id: int, member_id: int
    ) -> ImageEncoder: ...
    def lease(self, lease_id: int, ttl_s: int, expires_at_s: float) -> None:
        """Add a lease that runs out at that wall time."""

    def put(
        self,
        key: bytes,
        value: bytes,
        create_revision: int,
        mod_revision: int,
        version: int,
        lease_id: int,
    ) -> None:
        """Add a key."""

    def ready_bytes(self) -> int:
        """Return how much can be taken."""

    def take(self) -> bytes:
        """Take what is ready."""

    def finish(self) -> bytes:
        """End the image and take the rest."""

@final
class ImageInstaller:
    """An image on its way into the store. Dropping it gives it up.

    Kinds: `corrupt` (offset) and `newer_format` for the image, `io` (path, errno), `not_primary`
    and `not_standby` for a store whose role it does not suit. All calls belong off the event loop.
    """

    def push(self, data: bytes) -> None:
        """Take the next bytes, check them, and write them beside the store."""

    def expect_file(self, path: PathLike[str], bytes_max: int, digested: bool) -> None:
        """Have a file read ahead, behind those expected before (or `OSError`)."""

    def push_file(self) -> tuple[int, str | None]:
        """Take the bytes of the first file expected (or `OSError`): how many, their SHA-256."""

    def commit(self) -> tuple[int, int, int]:
        """Install it and return the revision, sequence number and term that the store is at.

        With `restore` the data is what was live in the image, at a revision above all that the
        store ever handed out. With `reseed` everything is the image's. Watches end as compacted.
        """

    def close(self) -> None:
        """Give it up. Closing twice is fine, and so is closing what was committed."""

@final
class OfflineRestore:
    """Makes a store of an image. Every call blocks. Kinds: `corrupt` and `newer_format`, `io`."""

    def __new__(cls) -> OfflineRestore: ...
    def push(self, data: bytes) -> None:
        """Take the next bytes of the image."""

    def replay(
        self, log_dir: PathLike[str] | str, to_revision: int | None, to_time_s: float | None
    ) -> tuple[int, float]:
        """Replay the log of a store that does not run on top of the whole image.

        Up to a revision or wall time in seconds; returns where. Kinds: `locked`, `other_cluster`
        (path), `log_too_short` (begins), `image_too_new` and `log_ends` (revision, time_s reached).
        """

    def create(self, options: _EngineOptions, keep_numbers: bool) -> dict[str, int]:
        """Write what is live into the empty directories of these options.

        Returns revision, restored_revision, restored_at_s, cluster_id, member_id, keys, leases.
        Unless `keep_numbers` the revision is far above the restored one and all before is
        compacted. Kinds: `not_empty` (path), `locked`.
        """

_Logged: TypeAlias = (
    tuple[Literal["write"], list[tuple[_KeyValue, bool]]]
    | tuple[Literal["lease_grant"], int, int, float]
    | tuple[Literal["lease_keep_alive"], int, float]
    | tuple[Literal["lease_end"], int]
    | tuple[Literal["compact"], int]
    | tuple[Literal["alarm"], int, Literal["no_space", "corrupt"], bool]
)

# sequence, term, wall time in seconds since the epoch, revision after it, change
_LogEntry: TypeAlias = tuple[int, int, float, int, _Logged]

def read_log(path: PathLike[str] | str, take: Callable[[list[_LogEntry]], object]) -> None:
    """Hand out the log of a store that does not run, or a side file of it, in pieces. Blocks.

    Kinds: `locked` (path, pid), `corrupt` and `newer_format` for a file, `io`.
    """

@final
class ImageDecoder:
    """Reads an image of any length in pieces, and checks all of it.

    Kinds: `corrupt` (offset), `newer_format` (found, supported).
    """

    def __new__(cls) -> ImageDecoder: ...
    def feed(self, data: bytes) -> list[_ImageItem]:
        """Take the next bytes and return the items that they complete."""

    def finish(self) -> int:
        """Refuse an image that is cut short; return its length in bytes."""

    def origin(self) -> tuple[int, int, float] | None:
        """Return cluster, member and the wall time of its creation, once its header was read."""

@final
class PartsDigest:
    """SHA-256 of a stream, and of each part of it, in the time that one of the two takes."""

    def __new__(cls) -> PartsDigest: ...
    def update(self, data: bytes) -> None:
        """Take the next bytes; to be called off the event loop when they are many."""

    def cut(self) -> str:
        """End a part and return its digest in hex."""

    def hexdigest(self) -> str:
        """Return the digest of all that came, in hex."""

# wall time in seconds since the epoch, level, target, message, fields
_LogEvent: TypeAlias = tuple[float, str, str, str, dict[str, str | int | float | bool]]

@final
class LogQueue:
    """The Rust core's log events of this process, bounded: when full, the newest are dropped.

    At most one in a process: a second refuses with kind `bad_argument` (field `log`).
    """

    @staticmethod
    def open(level: str, events_max: int) -> LogQueue:
        """Start collecting events of `level` (error, warn, info, debug) and above."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while `take` has something. Never read it."""

    def take(self) -> tuple[list[_LogEvent], int]:
        """Take the events that came since the last call, and how many were dropped meanwhile."""
