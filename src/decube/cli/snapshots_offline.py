"""What `decube snapshots restore` does where no node is asked, on the store itself."""

from __future__ import annotations

import contextlib
import errno
import shutil
from datetime import datetime
from typing import TYPE_CHECKING, Any

from decube.cli.kv_target import EtcdTarget, with_store
from decube.kit.errors import Conflict, Denied, Exhausted, Invalid, Unavailable
from decube.services.snapshots.offline import find_snapshot, open_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from decube.cli.options import Node
    from decube.cli.progress import Report
    from decube.cli.snapshots_restore import Offline
    from decube.services.snapshots.manifest import Manifest
    from decube.store.protocol import Store


async def fill_endpoint(offline: Offline, report: Report, node: Node) -> dict[str, Any]:
    """Fill an empty etcd from a snapshot."""
    from decube.store.remote.fill import Filling

    catalogue, manifest = await find_snapshot(offline.from_place)

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
    keys = await with_store(target, fill)
    return {"snapshot": manifest.id, "to": offline.to_endpoint, "keys": keys}


async def fill_directory(offline: Offline, report: Report, _node: Node) -> dict[str, Any]:
    """Make a new data directory from a snapshot."""
    from decube.config.settings import Settings
    from decube.daemon.store import embedded_options
    from decube.store.embedded import EmbeddedStore

    directory = offline.data_dir
    if directory is None:
        raise Invalid("--data-dir is needed", field="data_dir")
    directory = directory.expanduser().absolute()
    catalogue, manifest = await find_snapshot(offline.from_place)
    _take(directory)
    options = embedded_options(Settings(), directory)
    try:
        async with open_snapshot(
            catalogue, manifest, offline.identity_file, _reporter(report, manifest)
        ) as snapshot:
            store = await EmbeddedStore.open(options)
            try:
                revision = await store.restore(snapshot.image)
            finally:
                await store.close()
    except BaseException:
        _give_back(directory)
        raise
    return {"snapshot": manifest.id, "data_dir": str(directory), "revision": revision}


def _take(directory: Path) -> None:
    """Make the directory if need be; refuse one that holds anything."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = next(directory.iterdir(), None)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        kind = {errno.ENOSPC: Exhausted, errno.EACCES: Denied}.get(error.errno or 0, Unavailable)
        raise kind(f"cannot use the data directory {directory}: {reason}") from error
    if held is not None:
        raise Conflict(
            f"the data directory {directory} is not empty: it holds {held.name}",
            hint="restore into a new one; what is there is never replaced",
        )


def _give_back(directory: Path) -> None:
    """Empty the directory again, which was empty when it was taken."""
    for held in directory.iterdir():
        if held.is_dir():
            shutil.rmtree(held, ignore_errors=True)
        else:
            held.unlink(missing_ok=True)


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
