"""Images of the embedded store on their way in."""

from __future__ import annotations

import asyncio
import threading

import pytest

from decube.store.embedded.image import uninterrupted
from decube.store.types import CancelledTooLate


async def test_what_cannot_be_taken_back_is_done_before_a_cancelled_caller_hears_so() -> None:
    began, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def commit() -> None:
        began.set()
        go_on.wait(30)
        done.set()

    caller = asyncio.create_task(uninterrupted(asyncio.to_thread(commit)))
    await asyncio.to_thread(began.wait, 30)
    # Who waits for its end may be told to hurry.
    for _ in range(2):
        caller.cancel()
        finished, _ = await asyncio.wait((caller,), timeout=0.05)
        assert not finished
    go_on.set()
    with pytest.raises(CancelledTooLate):
        await caller
    assert done.is_set()


async def test_its_error_is_the_callers() -> None:
    def fail() -> None:
        raise ValueError("it cannot be")

    with pytest.raises(ValueError, match="it cannot be"):
        await uninterrupted(asyncio.to_thread(fail))
