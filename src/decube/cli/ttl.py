"""Times to live, as people write them."""

import re
from typing import Final

from decube.kit.durations import parse_duration
from decube.kit.errors import Invalid

_PLAIN_SECONDS: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
# So many that an int64, which the store takes, cannot overflow; what is longer is no time either.
_DIGITS_MAX: Final = 18


def ttl_seconds(text: str) -> int:
    """Read whole seconds: `90`, or a duration like `90s` or `5m`. Raises `Invalid`."""
    if len(text) > _DIGITS_MAX:
        raise Invalid(f'"{text}" is longer than any time to live', field="ttl")
    try:
        seconds = int(text) if _PLAIN_SECONDS.fullmatch(text) else _rounded(text)
    except ValueError as error:
        raise Invalid(str(error), field="ttl") from error
    if seconds < 0:
        raise Invalid(f'"{text}" is negative: a time to live is a number of seconds', field="ttl")
    return seconds


def lease_ttl_seconds(text: str) -> int:
    """Read the TTL of a lease of the REST API, where 0 would be sent as none. Raises `Invalid`."""
    # With msgspec, which a list of leases does not need.
    from decube.model.lease import TTL_S_MAX, TTL_S_MIN

    seconds = ttl_seconds(text)
    if not TTL_S_MIN <= seconds <= TTL_S_MAX:
        raise Invalid(
            f"--ttl {text} is out of bounds: {TTL_S_MIN} to {TTL_S_MAX} seconds", field="ttl"
        )
    return seconds


def _rounded(text: str) -> int:
    return round(parse_duration(text).seconds)
