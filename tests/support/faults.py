"""What may happen to a store while clients use it: to its process, its network and its disk."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random  # noqa: TID251 - for its type
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from tests.support.node import ServerProcess
    from tests.support.tcp_proxy import TcpProxy


@dataclass(frozen=True)
class Scene:
    """The store, the network before it, and the file that troubles its disk (if it has such)."""

    server: ServerProcess
    proxy: TcpProxy
    trouble: Path
    dice: random.Random

    async def hold_on(self, shortest_s: float, longest_s: float) -> None:
        """Let what was begun last for a while."""
        await asyncio.sleep(self.dice.uniform(shortest_s, longest_s))

    async def restart(self) -> None:
        """Kill the process as `kill -9` does, and start it again."""
        self.server.kill()
        await asyncio.to_thread(self.server.ensure_started)


async def kill(scene: Scene) -> None:
    """End the process in the middle of whatever it does."""
    await scene.restart()


async def kill_again(scene: Scene) -> None:
    """End it again as soon as it is back: the rest of a recovery is recovered from."""
    await scene.restart()
    await scene.hold_on(0.0, 0.1)
    await scene.restart()


async def pause(scene: Scene) -> None:
    """Stop the process for longer than clients wait; it goes on without knowing."""
    process = scene.server.running
    process.send_signal(signal.SIGSTOP)
    await scene.hold_on(0.3, 1.0)
    process.send_signal(signal.SIGCONT)


async def pauses(scene: Scene) -> None:
    """Stutter."""
    for _ in range(5):
        scene.server.running.send_signal(signal.SIGSTOP)
        await scene.hold_on(0.02, 0.15)
        scene.server.running.send_signal(signal.SIGCONT)
        await scene.hold_on(0.02, 0.15)


async def cut(scene: Scene) -> None:
    """Reset all connections, a few times, and let nobody in for a moment."""
    for _ in range(3):
        scene.proxy.cut()
        await scene.hold_on(0.05, 0.2)
        scene.proxy.heal()
        await scene.hold_on(0.1, 0.3)


async def blackhole(scene: Scene) -> None:
    """Let no byte through, without a word, and later all of them."""
    scene.proxy.hold()
    await scene.hold_on(0.3, 1.0)
    scene.proxy.heal()


async def lose_answers(scene: Scene) -> None:
    """Let requests through and no answers, and end the connections."""
    scene.proxy.answers_dropped = True
    await scene.hold_on(0.2, 0.5)
    scene.proxy.cut()
    scene.proxy.heal()


async def delay(scene: Scene) -> None:
    """Hold every piece for about as long as clients wait."""
    scene.proxy.delay_s = scene.dice.uniform(0.02, 0.12)
    await scene.hold_on(0.4, 0.8)
    scene.proxy.heal()


async def slow_disk(scene: Scene) -> None:
    """Restart on a disk whose every sync takes about as long as clients wait."""
    scene.trouble.write_text(f"slow {scene.dice.randint(20, 150)}")
    await scene.restart()
    await scene.hold_on(0.5, 1.0)
    scene.trouble.unlink()


async def failing_disk(scene: Scene) -> None:
    """Let syncs fail, for good as far as the store can know, and restart it on a sound disk."""
    scene.trouble.write_text("fail")
    await scene.hold_on(0.1, 0.3)
    scene.trouble.unlink()
    await scene.hold_on(0.1, 0.3)
    await scene.restart()


FAULTS: Mapping[str, Callable[[Scene], Awaitable[None]]] = {
    fault.__name__: fault
    for fault in (
        kill,
        kill_again,
        pause,
        pauses,
        cut,
        blackhole,
        lose_answers,
        delay,
        slow_disk,
        failing_disk,
    )
}
