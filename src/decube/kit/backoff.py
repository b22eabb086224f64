"""How long to wait before the next try: longer each time, bounded, and never in step with others.

The delay before try n is drawn from `(1 - jitter) * d .. d`, where `d` is `initial * factor ** n`,
capped. A crowd of clients that lost the same server thus does not come back at the same moment.
"""

from __future__ import annotations

import random  # noqa: TID251 - the one place that draws it
from typing import TYPE_CHECKING

import msgspec

from decube.kit.clock import SystemClock
from decube.kit.errors import require

if TYPE_CHECKING:
    from decube.kit.clock import Clock

_SYSTEM_CLOCK = SystemClock()


class BackoffPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of the delays, in seconds. `jitter` is the share of a delay that is drawn."""

    initial_s: float = 0.1
    max_s: float = 5.0
    factor: float = 2.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what would spin, shrink or overflow."""
        require(0 < self.initial_s <= self.max_s, "a first delay is above 0 and not above the last")
        require(self.factor >= 1, "delays never shrink")
        require(0 <= self.jitter <= 1, "jitter is a share of the delay, 0 to 1")


class Backoff:
    """The delays of one thing that is tried again and again; `reset` it when it worked.

    `seed` makes the draws repeatable. Not shared between tasks.
    """

    def __init__(
        self,
        policy: BackoffPolicy | None = None,
        *,
        clock: Clock = _SYSTEM_CLOCK,
        seed: int | None = None,
    ) -> None:
        self._policy = policy or BackoffPolicy()
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - spreads load, guards no secret
        self._ceiling_s = self._policy.initial_s
        self.failures = 0

    def next_delay_s(self) -> float:
        """Count a failure and say how long to wait after it."""
        ceiling_s = self._ceiling_s
        self.failures += 1
        self._ceiling_s = min(ceiling_s * self._policy.factor, self._policy.max_s)
        return ceiling_s * (1 - self._policy.jitter * self._random.random())

    async def pause(self) -> None:
        """Count a failure and wait after it."""
        await self._clock.sleep(self.next_delay_s())

    def reset(self) -> None:
        """Start from the first delay again."""
        self._ceiling_s = self._policy.initial_s
        self.failures = 0
