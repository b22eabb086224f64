"""Progress bars on a terminal; where stderr is none, nothing is drawn, or imported for it."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

Result = TypeVar("Result")

POLL_S: Final = 0.25
# Tells how much is done and how much there is; None while nobody knows.
Report = Callable[[float, float | None], None]


@contextmanager
def progress_bar(what: str, *, in_bytes: bool) -> Iterator[Report]:
    """Draw a bar while the context lasts; it goes when that ends."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    amount = DownloadColumn(binary_units=True) if in_bytes else TextColumn("{task.percentage:.0f}%")
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        amount,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def pause() -> None:
    """Wait until it is worth asking again."""
    threading.Event().wait(POLL_S)


def run_meanwhile(work: Callable[[], Result], look: Callable[[], None]) -> Result:
    """Do something that takes long in a thread, and look at how it goes again and again."""
    with ThreadPoolExecutor(1, thread_name_prefix="decube-request") as threads:
        running: Future[Result] = threads.submit(work)
        while not running.done():
            look()
            pause()
        return running.result()
