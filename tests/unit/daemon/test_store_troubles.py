"""What goes wrong in the store is said once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from decube.daemon.exits import ExitCode, StartFailure
from decube.daemon.store_troubles import LOOK_INTERVAL_S, STOPPED_GRACE_S, tell_troubles
from decube.kit.clock import ManualClock
from decube.kit.errors import Closed

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


async def logged(
    troubles: Callable[[], tuple[str | None, str | None]], alarm: Callable[[], str] = str
) -> list[MutableMapping[str, Any]]:
    """Return what is logged until the store says that it is closed."""
    clock = ManualClock()
    with capture_logs() as entries:
        task = asyncio.create_task(tell_troubles(troubles, alarm, clock))
        await asyncio.sleep(0)
        await clock.advance(10 * LOOK_INTERVAL_S)
        await task
    return entries


async def test_each_trouble_is_told_once_and_a_new_one_again() -> None:
    troubles: list[tuple[str | None, str | None]] = [
        (None, None),
        (None, "no room"),
        (None, "no room"),
        ("the disk failed", "no room"),
        ("the disk failed", "another reason"),
    ]

    def look() -> tuple[str | None, str | None]:
        if not troubles:
            raise Closed("the store is closed")
        return troubles.pop(0)

    assert [(event["log_level"], event["reason"]) for event in await logged(look)] == [
        ("warning", "no room"),
        ("error", "the disk failed"),
        ("warning", "another reason"),
    ]


async def test_a_full_store_is_told_once_and_that_it_is_so_no_more() -> None:
    alarms = ["", "NOSPACE", "NOSPACE", "", "NOSPACE"]

    def look() -> tuple[None, None]:
        if not alarms:
            raise Closed("the store is closed")
        return None, None

    events = await logged(look, lambda: alarms.pop(0))
    assert [(event["log_level"], event["alarm"]) for event in events] == [
        ("error", "NOSPACE"),
        ("info", "NOSPACE"),
        ("error", "NOSPACE"),
    ]


async def test_a_node_whose_store_stopped_writing_ends_a_minute_later() -> None:
    clock = ManualClock()
    task = asyncio.create_task(tell_troubles(lambda: ("the disk failed", None), str, clock))
    await asyncio.sleep(0)
    await clock.advance(STOPPED_GRACE_S - LOOK_INTERVAL_S)
    assert not task.done()
    await clock.advance(2 * LOOK_INTERVAL_S)
    with pytest.raises(StartFailure, match="the disk failed") as ended:
        await task
    assert ended.value.exit_code == ExitCode.STORE_STOPPED
