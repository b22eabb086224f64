"""Making a store out of an image where none runs: after the loss of a machine, or to look back.

Blocks, and needs no event loop: it is what `decube snapshots restore --data-dir` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from decube import _native
from decube.store.embedded.errors import translate
from decube.store.types import Revision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from decube.store.embedded.options import EmbeddedOptions


class ReplayLog(msgspec.Struct, frozen=True, kw_only=True):
    """The log of the store that the image is of, and how far to replay it on top of the image.

    Either up to and including `to_revision`, or to the moment `to_time_s`, in seconds since the
    epoch. The store must not run; nothing in `log_dir` is changed but its lock file.
    """

    log_dir: Path
    to_revision: Revision | None = None
    to_time_s: float | None = None


class RestoredStore(msgspec.Struct, frozen=True, kw_only=True):
    """A store that was made.

    It is at `revision` and holds what was live at `restored_revision`, which was written at
    `restored_at_s` (seconds since the epoch). The cluster is the old one, the member new.
    """

    revision: Revision
    restored_revision: Revision
    restored_at_s: int
    cluster_id: int
    member_id: int
    keys: int
    leases: int


def restore_offline(
    pieces: Iterable[bytes],
    options: EmbeddedOptions,
    *,
    replay: ReplayLog | None = None,
    keep_numbers: bool = False,
) -> RestoredStore:
    """Make a store in the directories of `options`, which must be empty.

    Its revision is 1,000,000,000 above the restored one, and what was before is compacted, so that
    no client sees a revision again that meant something else; `keep_numbers` leaves that out, for a
    store that only is to be looked at.

    Raises `Corrupt` and `Unimplemented` for the image, `AlreadyExists` for a directory with
    something in it, `Invalid` (`field` `to`, with `revision` and `time_s` for how far the log
    reaches) and `Unavailable` (`reason` `locked`) for the log.
    """
    restore = _native.OfflineRestore()
    try:
        for piece in pieces:
            restore.push(piece)
        if replay is not None:
            restore.replay(replay.log_dir, replay.to_revision, replay.to_time_s)
        made = restore.create(options, keep_numbers)
    except _native.StoreError as error:
        raise translate(error) from None
    return msgspec.convert(made, RestoredStore)
