"""What snapshots need of a store: an image to take, and where it can be, one to put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from decube.store.types import Revision, StoreStatus

    Restore = Callable[[AsyncIterator[bytes]], Awaitable[Revision]]


class Image(Protocol):
    """A store at one revision, as a stream of the bytes of a checkpoint file."""

    @property
    def revision(self) -> Revision:
        """The revision it shows."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read it, once."""
        ...


class ImageSource(Protocol):
    """A store of which images can be taken."""

    def image(self, *, history: bool = False) -> AbstractAsyncContextManager[Image]:
        """Pin the present revision while the context lasts."""
        ...

    async def status(self) -> StoreStatus:
        """Tell what the store is and how big."""
        ...
