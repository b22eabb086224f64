"""`decube snapshots download` and `upload`: snapshots as tar archives, through a node."""

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

from cyclopts import Parameter

from decube.cli.options import Node
from decube.cli.output import print_line
from decube.cli.progress import Report, progress_bar
from decube.cli.rest_client import RestClient, Upload, told_error
from decube.cli.snapshots_output import SNAPSHOT
from decube.kit.errors import (
    AlreadyExists,
    Damaged,
    DecubeError,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    Unavailable,
    system_reason,
)

_PIECE_BYTES: Final = 1 << 20
# A node that reads slowly, because its location is slow, is waited for that long.
_STALL_S: Final = 300.0
_MEDIA_TYPE: Final = "application/x-tar"


def download(
    snapshot: str,
    file: Path | None = None,
    /,
    *,
    force: Annotated[bool, Parameter(negative=(), help="Replace a file that is there.")] = False,
    node: Node = Node(),
) -> None:
    """Download a snapshot as a tar archive, by default to ID.tar in this folder.

    All of it is checked by the node on the way: exit code 12 when it is damaged. It cannot be
    deleted meanwhile.
    The file appears when it is whole.

    For example:

        decube snapshots download snap-20260131T120000000Z-1f2e3d4c backup.tar
    """
    snapshot_id = SNAPSHOT.bare(snapshot)
    target = file or Path(f"{snapshot_id}.tar")
    if target.exists() and not force:
        raise AlreadyExists(f"{target} is there already", hint="--force replaces it")
    client = _patient(node)
    partial = target.with_name(f"{target.name}.partial")
    # As patiently: the location that it looks at may be slow.
    before = _status(client, snapshot_id)
    with client.download(f"{SNAPSHOT.path(snapshot_id)}/archive") as (size, pieces):
        try:
            with _private(partial) as output, progress_bar("downloading", in_bytes=True) as report:
                for piece in _reported(pieces, size, report):
                    output.write(piece)
            partial.replace(target)
        except Unavailable as error:
            raise _reason(error, node.client(), snapshot_id, before) from error
        except OSError as error:
            raise _file_failure("write", target, error) from error
        finally:
            partial.unlink(missing_ok=True)
    print_line(f"snapshot/{snapshot_id} downloaded to {target}")


def upload(file: Path, /, *, node: Node = Node()) -> None:
    """Bring back a snapshot that was downloaded. Exit code 4 when the node has it already.

    For example:

        decube snapshots upload backup.tar
    """
    try:
        with file.open("rb") as archive:
            snapshot_id = _id_in(archive, file)
            size = file.stat().st_size
            _refuse_present(node.client(), snapshot_id)
            with progress_bar("uploading", in_bytes=True) as report:
                content = _reported(_pieces_of(archive), size, report)
                path = f"{SNAPSHOT.path(snapshot_id)}/archive"
                _patient(node).upload(path, Upload(content, size, _MEDIA_TYPE))
    except OSError as error:
        raise _file_failure("read", file, error) from error
    print_line(f"snapshot/{snapshot_id} uploaded")


def _reason(
    broken: Unavailable, client: RestClient, snapshot_id: str, before: dict[str, Any]
) -> DecubeError:
    """Ask the node why an answer broke off: it could not tell that in the middle.

    What it knew `before` is not why.
    """
    try:
        status = _status(client, snapshot_id)
    except NotFound as gone:
        return gone
    except DecubeError:
        return broken
    is_new = status.get("failed_at") != before.get("failed_at")
    if is_new and (code := status.get("error_code")) in (Damaged.code, NotFound.code):
        return told_error(code, "; ".join(status["errors"]))
    hint = f"try again; `decube snapshots verify {snapshot_id}` tells whether it is damaged"
    broken.details = {**broken.details, "hint": hint}
    return broken


def _status(client: RestClient, snapshot_id: str) -> dict[str, Any]:
    status: dict[str, Any] = client.call("GET", f"{SNAPSHOT.path(snapshot_id)}/status")
    return status


def _private(file: Path) -> BinaryIO:
    """Open a file that nobody else may read: a snapshot holds all that the store does."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "wb")


def _id_in(archive: BinaryIO, file: Path) -> str:
    """Read which snapshot an archive is of, from its first member, the manifest."""
    try:
        first = tarfile.TarInfo.frombuf(archive.read(tarfile.BLOCKSIZE), "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is no archive of a snapshot", field="file") from error
    archive.seek(0)
    return SNAPSHOT.bare(first.name.partition("/")[0])


def _refuse_present(client: RestClient, snapshot_id: str) -> None:
    """Say that a snapshot is there before all of it is sent."""
    try:
        client.call("GET", SNAPSHOT.path(snapshot_id))
    except NotFound:
        return
    raise AlreadyExists(f"the node has snapshot {snapshot_id} already")


def _pieces_of(archive: BinaryIO) -> Iterator[bytes]:
    while piece := archive.read(_PIECE_BYTES):
        yield piece


def _reported(pieces: Iterator[bytes], size: int, report: Report) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        report(done, size)


def _patient(node: Node) -> RestClient:
    return RestClient(node.address, max(node.timeout.seconds, _STALL_S), node)


def _file_failure(what: str, file: Path, error: OSError) -> DecubeError:
    import errno

    reason = system_reason(error)
    kinds: dict[int | None, Callable[[str], DecubeError]] = {
        errno.EACCES: Denied,
        errno.ENOSPC: Exhausted,
        errno.EDQUOT: Exhausted,
    }
    return kinds.get(error.errno, Invalid)(f"cannot {what} {file}: {reason}")
