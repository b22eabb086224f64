"""What snapshots need of a store: an image to take, and where it can be, one to put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from decube.store.image_files import ImagePiece
    from decube.store.protocol import StoreImage
    from decube.store.types import Revision, StoreStatus

    CheckRole = Callable[[], None]
    Restore = Callable[[AsyncIterator[ImagePiece]], Awaitable[Revision]]


class ImageSource(Protocol):
    """The part of `Store` of which images are taken."""

    def image(self, *, history: bool = False) -> AbstractAsyncContextManager[StoreImage]:
        """Open an image; see `Store.image`."""
        ...

    async def status(self) -> StoreStatus:
        """Tell what the store is and how big."""
        ...
