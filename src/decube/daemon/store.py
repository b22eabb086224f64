"""Opens the store that the settings name, and tells in which way that failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from decube.config.settings import Settings
from decube.daemon.data_directory import in_use, unusable
from decube.daemon.exits import ExitCode, StartFailure
from decube.kit.errors import DecubeError, Denied, Exhausted, NotFound, Unavailable, Unimplemented

if TYPE_CHECKING:
    from decube.store.embedded import EmbeddedOptions, EmbeddedStore
    from decube.store.remote import RemoteStore


def log_directories(settings: Settings, data_directory: Path) -> tuple[Path, Path]:
    """Return where the log and the checkpoints live."""
    checkpoints = Path(settings.etcd.data_dir or data_directory / "etcd").expanduser()
    log = Path(settings.etcd.wal_dir or checkpoints / "wal").expanduser()
    return log.absolute(), checkpoints.absolute()


def log_below(directory: Path) -> Path:
    """Return where the log of a store is, by that directory or the data directory it is in.

    Raises `NotFound` where there is none.
    """
    directory = directory.expanduser().absolute()
    below, _ = log_directories(Settings(), directory)
    for place in (below, directory):
        try:
            if any(file.suffix == ".log" for file in place.iterdir()):
                return place
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            raise Denied(f"cannot read {place}: run this as the user who owns it") from error
    raise NotFound(
        f"there is no log of a store in {directory}, nor in {below}",
        hint="name the data directory of a node, or the directory of its log",
    )


def embedded_options(settings: Settings, data_directory: Path) -> EmbeddedOptions:
    """Translate the settings for the embedded store."""
    from decube.store.embedded import EmbeddedOptions  # noqa: PLC0415 - not on the etcd backend

    log, checkpoints = log_directories(settings, data_directory)
    on_disk = settings.store.engine == "log"
    return EmbeddedOptions(
        log_dir=log if on_disk else None,
        checkpoint_dir=checkpoints if on_disk else None,
        quota_bytes=settings.etcd.quota_backend_bytes or None,
        checkpoint_entries_min=settings.etcd.snapshot_count,
        checkpoints_kept=settings.etcd.max_snapshots,
        covered_segments_max=settings.etcd.max_wals or None,
        log_retention_s=settings.store.log_retention.seconds,
        log_retention_bytes=settings.store.log_retention_bytes,
        txn_operations_max=settings.etcd.max_txn_ops,
        request_bytes_max=settings.etcd.max_request_bytes,
    )


async def open_embedded(settings: Settings, data_directory: Path) -> EmbeddedStore:
    """Open the engine in this process. Raises `StartFailure`, or `Corrupt`."""
    from decube.store.embedded import EmbeddedStore  # noqa: PLC0415 - not on the etcd backend

    options = embedded_options(settings, data_directory)
    for directory in (options.checkpoint_dir, options.log_dir):
        if directory is not None:
            _make(directory)
    try:
        return await EmbeddedStore.open(options)
    except DecubeError as error:
        raise _start_failure(error, options.log_dir or data_directory) from error


async def open_remote(settings: Settings) -> RemoteStore:
    """Connect to the endpoints, waiting for them within bounds. Raises `StartFailure`."""
    from decube.store.remote import (  # noqa: PLC0415 - grpc
        Credentials,
        RemoteOptions,
        RemoteStore,
        TlsOptions,
    )

    named = settings.store
    tls = None
    if named.ca_file or named.cert_file:
        tls = TlsOptions(
            ca_file=Path(named.ca_file) if named.ca_file else None,
            cert_file=Path(named.cert_file) if named.cert_file else None,
            key_file=Path(named.key_file) if named.key_file else None,
        )
    credentials = None
    if named.username:
        credentials = Credentials(username=named.username, password=named.password)
    store = RemoteStore(
        RemoteOptions(
            endpoints=named.endpoints,
            tls=tls,
            credentials=credentials,
            request_timeout_s=named.request_timeout.seconds,
        )
    )
    reason = "no answer"
    try:
        async with asyncio.timeout(named.connect_timeout.seconds):
            while True:
                try:
                    await store.status()
                except Unavailable as error:
                    reason = error.message
                else:
                    return store
    except TimeoutError:
        await store.close()
        raise StartFailure(
            f"the etcd endpoints {', '.join(named.endpoints)} cannot be reached within "
            f"{named.connect_timeout.short}: {reason}",
            ExitCode.STORE_UNREACHABLE,
            hint="start them, or set another store.endpoints (or a longer store.connect_timeout)",
        ) from None
    except BaseException:
        await store.close()
        raise


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(directory, error) from error


def _start_failure(error: DecubeError, directory: Path) -> DecubeError:
    """Return what a refusal to open means to who starts the node."""
    reason = error.details.get("reason")
    if isinstance(error, Unavailable) and reason == "locked":
        return in_use(directory, error.details.get("pid", "unknown"))
    if isinstance(error, Denied) and reason == "not_permitted":
        return StartFailure(
            f"cannot write the data directory: {error.message}",
            ExitCode.DATA_DIRECTORY_NOT_WRITABLE,
            hint="let this user write it, or choose another by --data-dir or node.data_dir",
        )
    if isinstance(error, Exhausted) and reason == "no_room":
        return StartFailure(
            f"no room in the data directory: {error.message}",
            ExitCode.DISK_FULL,
            hint="make room on that disk, or choose another by --data-dir or node.data_dir",
        )
    if isinstance(error, Unimplemented) and reason == "newer_format":
        return StartFailure(
            f"the data was written by a newer version: {error.message}",
            ExitCode.NEWER_FORMAT,
            hint="run that version, or choose another data directory by --data-dir",
        )
    return error
