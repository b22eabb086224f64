"""Runs one sequence on both servers, and makes one that shows a difference shorter."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf import text_format
from tests.conformance.differential.requests import Requests, Step
from tests.conformance.differential.sides import Side

from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

WATCH_CHANCE = 0.01
WATCHERS_MAX = 20
SHRINK_RUNS_MAX = 80

WATCH = "Watch.Watch"
Servers = tuple[str, str]
"""Addresses of ours and of the real one, both on an empty store."""


class Difference(NamedTuple):
    """Where the two went different ways: the steps up to there, and what each said."""

    steps: list[Step]
    ours: str
    real: str


def compare(servers: Servers, steps: Iterable[Step], requests: Requests) -> Difference | None:
    """Do the steps at both; return the first difference. Watches are compared at the end."""
    with ExitStack() as stack:
        ours, real = (stack.enter_context(Side(address)) for address in servers)
        done: list[Step] = []
        for step in steps:
            done.append(step)
            if step.call == WATCH:
                for side in (ours, real):
                    side.watches(step.request)  # type: ignore[arg-type] # of a watch step
                continue
            told, _ = ours.does(step)
            expected, response = real.does(step)
            if told != expected:
                return Difference(done, told, expected)
            if response is not None and hasattr(response, "header"):
                known = requests.known
                known.revision = max(known.revision, response.header.revision)
                if step.call == "KV.Compact":
                    known.compacted = step.request.revision  # type: ignore[attr-defined]
        return _compare_watches(done, ours, real)


def _compare_watches(done: list[Step], ours: Side, real: Side) -> Difference | None:
    revision = real.revision()
    for place, (one, other) in enumerate(zip(ours.watchers, real.watchers, strict=True)):
        told, expected = one.history(revision), other.history(revision)
        if told != expected:
            where = [f"watcher {place}"]
            return Difference(done, "\n".join(where + told), "\n".join(where + expected))
    return None


def random_steps(requests: Requests, count: int) -> Iterator[Step]:
    """Make that many steps, some of which open watchers."""
    watchers = 0
    for _ in range(count):
        if watchers < WATCHERS_MAX and requests.chance(WATCH_CHANCE):
            watchers += 1
            yield Step(WATCH, requests.watch())
        else:
            yield requests.step()


def shrink(steps: Sequence[Step], differs: Callable[[Sequence[Step]], bool]) -> Sequence[Step]:
    """Leave out what the difference does not need: halves first, single steps last."""
    size, runs = len(steps) // 2, 0
    while size:
        start = 0
        while start < len(steps) and runs < SHRINK_RUNS_MAX:
            shorter = [*steps[:start], *steps[start + size :]]
            runs += 1
            if shorter and differs(shorter):
                steps = shorter
            else:
                start += size
        size //= 2
    return steps


def written(steps: Iterable[Step]) -> str:
    """Write steps as text, for a test of their own."""
    return "\n".join(
        f"{call} {text_format.MessageToString(request, as_one_line=True)}"
        for call, request in steps
    )


def read(text: str) -> list[Step]:
    """Read what `written` wrote."""
    return [_step(line) for line in text.strip().splitlines()]


def _step(line: str) -> Step:
    call, _, request = line.strip().partition(" ")
    method = call.partition(".")[2]
    names = {
        "Compact": "CompactionRequest",
        "RangeStream": "RangeRequest",
        "Watch": "WatchCreateRequest",
    }
    message = getattr(pb, names.get(method, f"{method}Request"))()
    return Step(call, text_format.Parse(request, message))
