"""What `decube snapshots restore` does where no node is asked, on the store itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from decube.cli.kv_target import EtcdTarget, with_store
from decube.kit.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    Unavailable,
    system_reason,
)
from decube.model.timestamps import rfc3339
from decube.services.snapshots.offline import blocking, find_snapshots, open_snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from decube.cli.options import Node
    from decube.cli.progress import Report
    from decube.cli.snapshots_restore import Offline
    from decube.services.snapshots.manifest import Manifest
    from decube.store.embedded import ReplayLog, RestoredStore
    from decube.store.protocol import Store


async def fill_endpoint(offline: Offline, report: Report, node: Node) -> dict[str, Any]:
    """Fill an empty etcd from a snapshot."""
    from decube.store.remote.fill import Filling

    catalogue, (manifest, *_) = await find_snapshots(offline.from_place)

    async def fill(store: Store) -> int:
        await store.status()
        async with open_snapshot(
            catalogue, manifest, offline.identity_file, _reporter(report, manifest)
        ) as snapshot:
            filling = Filling(store, manifest.checksum)
            return await filling.run(snapshot.image)

    target = EtcdTarget(
        endpoints=offline.to_endpoint,
        timeout=node.timeout,
        cacert=node.cacert,
        cert=node.cert,
        key_file=node.key_file,
    )
    keys = await with_store(target, fill, chosen_by="--to-endpoint", patient=True)
    return {"snapshot": manifest.id, "to": offline.to_endpoint, "keys": keys}


async def fill_directory(offline: Offline, report: Report, _node: Node) -> dict[str, Any]:
    """Make a new data directory from a snapshot, and from a log on top of it if asked."""
    directory = offline.data_dir
    if directory is None:
        raise Invalid("--data-dir is needed", field="data_dir")
    directory = directory.expanduser().absolute()
    replay = _replay(offline)
    catalogue, candidates = await find_snapshots(offline.from_place, _is_early_enough(replay))
    is_new = _take(directory)
    try:
        for manifest in candidates:
            async with open_snapshot(
                catalogue, manifest, offline.identity_file, _reporter(report, manifest)
            ) as snapshot:
                try:
                    made = await _make(directory, snapshot.image, replay)
                except Invalid as error:
                    # Its image was made a moment after the snapshot was begun.
                    if manifest is candidates[-1] or not _is_too_new(error, manifest, replay):
                        raise _with_time(error, replay) from error
                    continue
                return _told(manifest, directory, made)
    except BaseException:
        _give_back(directory, is_new=is_new)
        raise
    raise NotFound("there is no snapshot to restore")


async def _make(
    directory: Path, image: AsyncGenerator[bytes, None], replay: ReplayLog | None
) -> RestoredStore:
    from decube.config.settings import Settings
    from decube.daemon.store import embedded_options
    from decube.store.embedded import restore_offline

    options = embedded_options(Settings(), directory)
    for folder in (options.checkpoint_dir, options.log_dir):
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with blocking(image) as pieces:
        return await asyncio.to_thread(restore_offline, pieces, options, replay=replay)


def _replay(offline: Offline) -> ReplayLog | None:
    """Return what is to be replayed, and up to where."""
    if offline.log_dir is None:
        return None
    from decube.daemon.store import log_below
    from decube.store.embedded import ReplayLog
    from decube.store.types import Revision

    to_time_s = parse_moment(offline.to_time).timestamp() if offline.to_time else None
    return ReplayLog(
        log_dir=log_below(offline.log_dir),
        to_revision=None if offline.to_revision is None else Revision(offline.to_revision),
        to_time_s=to_time_s,
    )


def _is_early_enough(replay: ReplayLog | None) -> Callable[[Manifest], bool] | None:
    """Return which snapshots the log can be replayed on; None without one."""
    if replay is None:
        return None

    def is_early_enough(manifest: Manifest) -> bool:
        if replay.to_revision is not None:
            return int(manifest.etcd_revision) <= replay.to_revision
        return parse_moment(manifest.created_at).timestamp() <= (replay.to_time_s or 0.0)

    return is_early_enough


def _is_too_new(error: Invalid, manifest: Manifest, replay: ReplayLog | None) -> bool:
    """Tell whether it was the image that is behind the moment, and not the log that ends."""
    if replay is None or replay.to_time_s is None or error.field != "to":
        return False
    made_s = error.details.get("time_s")
    of_image = error.details.get("revision") == int(manifest.etcd_revision)
    return of_image and isinstance(made_s, int) and made_s >= int(replay.to_time_s)


def _with_time(error: Invalid, replay: ReplayLog | None) -> Invalid:
    """Tell how far the log reaches also in time, which is what was asked for, and how to go there.

    A log knows the moments of writes only: where none came later, as on a quiet store, it ends
    before a moment that all of it is wanted of.
    """
    reached_s, revision = error.details.get("time_s"), error.details.get("revision")
    if replay is None or not isinstance(reached_s, int) or not isinstance(revision, int):
        return error
    moment = rfc3339(datetime.fromtimestamp(reached_s, UTC))
    told = Invalid(f"{error.message} (that is of {moment})", field=error.field)
    told.details = error.details
    is_before = reached_s < (replay.to_time_s or 0.0) or revision < (replay.to_revision or 0)
    if is_before:
        hint = f"--to-revision {revision} restores all that the log has"
        told.details = {"hint": hint, **error.details}
    return told


def _told(manifest: Manifest, directory: Path, made: RestoredStore) -> dict[str, Any]:
    return {
        "snapshot": manifest.id,
        "data_dir": str(directory),
        "restored_revision": str(made.restored_revision),
        "revision": str(made.revision),
        "keys": made.keys,
        "leases": made.leases,
    }


def _take(directory: Path) -> bool:
    """Make the directory if need be, and tell whether; refuse one that holds anything."""
    try:
        is_new = not directory.exists()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = next(directory.iterdir(), None)
    except OSError as error:
        reason = system_reason(error)
        kind = {errno.ENOSPC: Exhausted, errno.EACCES: Denied}.get(error.errno or 0, Unavailable)
        raise kind(f"cannot use the data directory {directory}: {reason}") from error
    if held is not None:
        raise Conflict(
            f"the data directory {directory} is not empty: it holds {held.name}",
            hint="restore into a new one; what is there is never replaced",
        )
    return is_new


def _give_back(directory: Path, *, is_new: bool) -> None:
    """Leave the directory as it was when it was taken: empty, or not there."""
    for held in directory.iterdir():
        if held.is_dir():
            shutil.rmtree(held, ignore_errors=True)
        else:
            held.unlink(missing_ok=True)
    if is_new:
        # What could not be removed is less to know than why it failed.
        with contextlib.suppress(OSError):
            directory.rmdir()


def parse_moment(text: str) -> datetime:
    """Read a moment with its zone. Raises `Invalid`."""
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    raise Invalid(
        f'"{text}" is not a moment: write it with its zone, like 2026-01-31T12:00:00Z',
        field="to_time",
    )


def _reporter(report: Report, manifest: Manifest) -> Callable[[int, int], None]:
    return lambda bytes_done, _chunks: report(bytes_done, manifest.size_bytes)
