"""The moment from which streams that have no end of their own are to end."""

from __future__ import annotations

import asyncio


class Drain:
    """Begun once, when the server stops."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """End the streams, and let no new one last."""
        self._begun.set()

    async def wait_until_begun(self) -> None:
        """Return when it has begun."""
        await self._begun.wait()
