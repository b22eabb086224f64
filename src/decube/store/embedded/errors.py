"""From the extension module's one exception to our kinds.

The module raises `StoreError(kind, message, attributes)`; kinds are the names of the engine's own
errors. Everything needed stands in the attributes: texts are shown, never read.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from decube.kit.errors import (
    AlreadyExists,
    Closed,
    Compacted,
    Conflict,
    Corrupt,
    DecubeError,
    Denied,
    Exhausted,
    Internal,
    Invalid,
    NotFound,
    NotLeader,
    TooLarge,
    Unavailable,
    Unimplemented,
)
from decube.store.limits import QUOTA, QUOTA_HINT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from decube._native import StoreError

    Attributes = Mapping[str, Any]
    Make = Callable[[str, Attributes], DecubeError]

_NOT_PERMITTED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE}


def translate(error: StoreError) -> DecubeError:
    """Return our error for one of the extension module."""
    kind, message, attributes = error.args
    make = _BY_KIND.get(kind)
    if make is None:
        return Internal(f"unknown kind of store error {kind!r}: {message}")
    return make(message, attributes)


def _invalid(field: str) -> Make:
    return lambda message, _: Invalid(message, field=field)


def _unavailable(reason: str) -> Make:
    return lambda message, attributes: Unavailable(message, reason=reason, **attributes)


def _closed(message: str, attributes: Attributes) -> DecubeError:
    return Closed(message, **attributes)


def _input_output(message: str, attributes: Attributes) -> DecubeError:
    number = attributes.get("errno")
    if number in _NOT_PERMITTED:
        return Denied(message, reason="not_permitted", **attributes)
    if number in _NO_ROOM:
        return Exhausted(message, reason="no_room", **attributes)
    return Unavailable(message, reason="io", **attributes)


_BY_KIND: Mapping[str, Make] = {
    "key_empty": _invalid("key"),
    "key_not_found": _invalid("key"),
    "value_provided": _invalid("value"),
    "lease_provided": _invalid("lease"),
    "too_many_operations": _invalid("operations"),
    "duplicate_key": _invalid("key"),
    "future_revision": _invalid("revision"),
    "lease_ttl_too_large": _invalid("ttl_s"),
    "bad_argument": lambda message, attributes: Invalid(message, field=str(attributes["field"])),
    "compacted": lambda message, attributes: Compacted(
        message, compact_revision=int(attributes["compact_revision"])
    ),
    "lease_not_found": lambda message, _: NotFound(message),
    "lease_exists": lambda message, attributes: AlreadyExists(message, **attributes),
    "no_space": lambda message, _: Exhausted(message, reason=QUOTA, hint=QUOTA_HINT),
    "too_many_requests": lambda message, _: Exhausted(message, reason="overload"),
    "request_too_large": lambda message, attributes: TooLarge(
        message, limit_bytes=int(attributes["limit_bytes"])
    ),
    "image_lost": _unavailable("image_lost"),
    "not_empty": lambda message, attributes: AlreadyExists(message, **attributes),
    "other_cluster": lambda message, attributes: Invalid(message, field="log_dir", **attributes),
    "log_too_short": lambda message, attributes: Invalid(message, field="log_dir", **attributes),
    "image_too_new": lambda message, attributes: Invalid(message, field="to", **attributes),
    "log_ends": lambda message, attributes: Invalid(message, field="to", **attributes),
    "not_primary": lambda message, _: NotLeader(message),
    "not_standby": lambda message, _: Conflict(message),
    "frame_gap": _unavailable("frame_gap"),
    "revision_gap": lambda message, attributes: Conflict(message, **attributes),
    "fed": lambda message, _: Conflict(message),
    "frame_unfit": _unavailable("frame_unfit"),
    "role_held": lambda message, _: Conflict(message),
    "moved": _unavailable("moved"),
    "no_log": lambda message, _: Unimplemented(message),
    "latched": lambda message, _: Unavailable(message, reason="latched"),
    "closed": _closed,
    "forked": _closed,
    "watch_range_empty": _invalid("range"),
    "too_many_watchers": lambda message, _: Exhausted(message, reason="watchers"),
    "locked": lambda message, attributes: Unavailable(message, reason="locked", **attributes),
    "corrupt": lambda message, attributes: Corrupt(message, **attributes),
    "newer_format": lambda message, attributes: Unimplemented(
        message, reason="newer_format", **attributes
    ),
    "address_in_use": lambda message, attributes: Unavailable(
        message, reason="address_in_use", **attributes
    ),
    "io": _input_output,
    "internal": lambda message, attributes: Internal(message, **attributes),
}
