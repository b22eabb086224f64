"""A store whose reads are answered by the node that is asked: `?consistency=local`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from decube.store.delegating import DelegatingStore

if TYPE_CHECKING:
    from decube.store.types import RangeRequest, RangeResult


class LocalReads(DelegatingStore):
    """A `Store` that reads serializably, whatever the request says."""

    async def range(self, request: RangeRequest) -> RangeResult:
        """Read keys as the node has them; see `Store.range`."""
        return await self._store.range(msgspec.structs.replace(request, serializable=True))
