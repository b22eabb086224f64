"""Times to live, as people write them."""

from decube.kit.durations import parse_duration
from decube.kit.errors import Invalid


def ttl_seconds(text: str) -> int:
    """Read whole seconds: `90`, or a duration like `90s` or `5m`. Raises `Invalid`."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return round(parse_duration(text).seconds)
    except ValueError as error:
        raise Invalid(str(error), field="ttl") from error
