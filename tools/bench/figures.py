"""What a load came to, beside a peer, and whether that is what was wanted."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MET, MISSED = "met", "**missed**"


@dataclass(frozen=True)
class Bench:
    """How to measure: where the servers keep their data, and how long it may take."""

    directory: Path
    rounds: int
    quick: bool

    def sized(self, number: int) -> int:
        """Scale a number of operations or objects; a quick try takes a twentieth."""
        return number // 20 if self.quick else number


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one load: operations a second, server CPU an operation, latencies."""

    rate: float
    cpu_us: float
    p50_ms: float = math.nan
    p99_ms: float = math.nan

    def __str__(self) -> str:
        """Format it for whoever waits for the run."""
        return f"{self.rate:,.0f}/s, {self.cpu_us:.1f} us, {latencies(self)} ms"


@dataclass(frozen=True)
class Row:
    """One load on a peer and on DeCube, with the ratios wanted of it."""

    load: str
    peer: str
    peer_sample: Sample
    own: Sample
    rate_wanted: float | None = None
    cpu_wanted: float | None = None

    def line(self) -> str:
        """Format the row."""
        rate = self.own.rate / self.peer_sample.rate
        cpu = self.own.cpu_us / self.peer_sample.cpu_us if self.peer_sample.cpu_us else math.nan
        return (
            f"| {self.load} | {self.peer} | {self.peer_sample.rate:,.0f} | {self.own.rate:,.0f} "
            f"| **{rate:.2f}x** | {verdict(self.rate_wanted, rate, at_least=True)} "
            f"| {self.peer_sample.cpu_us:,.1f} | {self.own.cpu_us:,.1f} "
            f"| **{cpu:.2f}x** | {verdict(self.cpu_wanted, cpu)} "
            f"| {latencies(self.peer_sample)} | {latencies(self.own)} |"
        )


@dataclass(frozen=True)
class Figure:
    """Something that is better when it is smaller, on a peer and on DeCube."""

    what: str
    unit: str
    peer: float
    own: float
    wanted: float | None = 1.0

    def line(self) -> str:
        """Format the row."""
        ratio = self.own / self.peer if self.peer else math.nan
        return (
            f"| {self.what} | {amount(self.peer)} | {amount(self.own)} | {self.unit} "
            f"| **{ratio:.2f}x** | {verdict(self.wanted, ratio)} |"
        )


@dataclass
class Section:
    """A part of the page."""

    title: str
    about: str = ""
    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def verdict(wanted: float | None, ratio: float, *, at_least: bool = False) -> str:
    """Tell what was wanted of a ratio and whether it is so."""
    if wanted is None:
        return ""
    # As it is printed: a ratio shown as 2.50 meets 2.5.
    met = round(ratio, 2) >= wanted if at_least else round(ratio, 2) <= wanted
    return f"{'>=' if at_least else '<='} {wanted:g}x: {MET if met else MISSED}"


def latencies(sample: Sample) -> str:
    """Format p50 / p99; a latency that the client does not tell is left out."""
    known = [amount(ms) for ms in (sample.p50_ms, sample.p99_ms) if not math.isnan(ms)]
    return " / ".join(known)


def amount(number: float) -> str:
    """Format a number to about three digits."""
    if math.isnan(number):
        return "not known"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:,.3g}"  # noqa: PLR2004 - digits


def median(samples: list[Sample]) -> Sample:
    """Take the median of every figure by itself."""
    return Sample(*(statistics.median(getattr(s, f.name) for s in samples) for f in fields(Sample)))
