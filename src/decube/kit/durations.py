"""Lengths of time in Go's notation, as the configuration and the CLI write them.

`1h30m`, `100ms`, `-1.5s`, `0`. A bare number other than 0 is refused: it does not say its unit.
Kept as whole nanoseconds (an int64, as in Go), so that text -> value -> text loses nothing.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Final

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3600 * 1_000_000_000,
}
_NANOSECONDS_MAX: Final = 2**63 - 1
_SECOND: Final = _UNITS["s"]
_PART = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>[^0-9.+-]*)")


@total_ordering
class Duration:
    """An immutable length of time. `str()` writes it as Go does: `1h30m0s`, `100ms`, `0s`."""

    __slots__ = ("_nanoseconds",)

    def __init__(self, nanoseconds: int) -> None:
        if abs(nanoseconds) > _NANOSECONDS_MAX:
            raise ValueError("a duration is at most 292 years")
        self._nanoseconds = nanoseconds

    @classmethod
    def of_seconds(cls, seconds: float) -> Duration:
        """Return the duration of that many seconds, rounded to the nanosecond."""
        return cls(round(seconds * _SECOND))

    @property
    def nanoseconds(self) -> int:
        """The length in nanoseconds, exact."""
        return self._nanoseconds

    @property
    def seconds(self) -> float:
        """The length in seconds, for what waits."""
        return self._nanoseconds / _SECOND

    @property
    def short(self) -> str:
        """The notation people write: `1h30m`, `24h`, where Go says `1h30m0s`, `24h0m0s`."""
        text = str(self)
        if text.endswith("m0s"):
            text = text.removesuffix("0s")
            if text.endswith("h0m"):
                text = text.removesuffix("0m")
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self._nanoseconds == other._nanoseconds

    def __lt__(self, other: Duration) -> bool:
        return self._nanoseconds < other._nanoseconds

    def __hash__(self) -> int:
        return hash(self._nanoseconds)

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"

    def __str__(self) -> str:
        sign = "-" if self._nanoseconds < 0 else ""
        rest = abs(self._nanoseconds)
        if rest < _SECOND:
            return sign + _below_a_second(rest)
        hours, rest = divmod(rest, _UNITS["h"])
        minutes, rest = divmod(rest, _UNITS["m"])
        text = _decimal(rest, _SECOND) + "s"
        if hours or minutes:
            text = f"{minutes}m{text}"
        if hours:
            text = f"{hours}h{text}"
        return sign + text


def parse_duration(text: str) -> Duration:
    """Read Go's notation; white space around it is ignored.

    Raises `ValueError` with a text that says what is wrong and how it is written.
    """
    bare = text.strip()
    sign, body = (-1, bare[1:]) if bare[:1] == "-" else (1, bare.removeprefix("+"))
    if body == "0":
        return Duration(0)
    if not body:
        raise ValueError(f'"{text}" is not a duration: write it like 1h30m, 5s or 100ms')
    total = 0
    position = 0
    while position < len(body):
        part = _PART.match(body, position)
        if part is None or not (part["whole"] or part["fraction"]):
            raise ValueError(f'"{text}" is not a duration: write it like 1h30m, 5s or 100ms')
        total += _part_nanoseconds(text, part)
        position = part.end()
    return Duration(sign * total)


def _part_nanoseconds(text: str, part: re.Match[str]) -> int:
    unit = part["unit"]
    if not unit:
        number = part[0]
        raise ValueError(f'"{text}" lacks a unit: write {number}s, {number}m, {number}h ...')
    if unit not in _UNITS:
        raise ValueError(f'"{text}" has an unknown unit "{unit}": the units are ns us ms s m h')
    scale = _UNITS[unit]
    fraction = part["fraction"] or ""
    whole = int(part["whole"] or "0") * scale
    return whole + int(fraction or "0") * scale // int("1" + "0" * len(fraction))


def _below_a_second(nanoseconds: int) -> str:
    if nanoseconds == 0:
        return "0s"
    for unit in ("ms", "µs", "ns"):
        if nanoseconds >= _UNITS[unit]:
            return _decimal(nanoseconds, _UNITS[unit]) + unit
    return f"{nanoseconds}ns"


def _decimal(value: int, scale: int) -> str:
    """Write `value / scale` exactly; `scale` is a power of ten."""
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    digits = len(str(scale)) - 1
    return f"{whole}.{rest:0{digits}}".rstrip("0")
