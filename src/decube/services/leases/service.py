"""The operations on leases that REST and gRPC offer.

A lease is an object whose key is attached to a lease of the store: when that runs out or is revoked
the key goes, and watchers see it. A renewal is a keep-alive of the store lease and makes no
revision; so how long a lease still runs is asked of the store each time. `tenure` deals with the
store leases, `names` with what gives a lease its name alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from decube.kit.clock import SystemClock
from decube.kit.errors import AlreadyExists, Conflict, Corrupt, Invalid, NotFound
from decube.kit.ids import RandomIds
from decube.model.lease import (
    TTL_S_DEFAULT,
    Lease,
    LeaseSpec,
    LeaseView,
    check_lease,
    check_ttl,
)
from decube.model.metadata import ObjectMeta
from decube.model.names import Name, shown
from decube.registry.kind import Kind
from decube.registry.listing import ListQuery
from decube.registry.registry import ATTEMPTS_MAX, Registry
from decube.registry.unreadable import UnreadableRows
from decube.services.leases.names import free_name, read_name, require_name
from decube.services.leases.tenure import NAMESPACE, Moved, Tenures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from decube.kit.clock import Clock
    from decube.kit.ids import Ids
    from decube.store.protocol import Store
    from decube.store.types import KeyValue

Result = TypeVar("Result")

LEASES = Kind(
    "leases",
    "lease",
    Lease,
    check_lease,
    {"holder": lambda lease: lease.spec.holder, "name": lambda lease: lease.spec.name},
)
ID_PATTERN = "lease-[0-9a-f]{16}"

_ID = re.compile(ID_PATTERN)
_LOOKS_AT_ONCE = 128
"""How many store leases are asked for their time at once; a page may have thousands."""


class LeaseDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A lease to be created. `ttl_seconds` 0 is the default; a `name` is one holder's at a time."""

    holder: str
    ttl_seconds: int = 0
    metadata: dict[str, str] = {}
    name: str = ""

    def lease(self) -> Lease:
        """Return it as an object that has no id yet. Raises `Invalid`."""
        metadata = ObjectMeta(name=Name(""), namespace=NAMESPACE, annotations=self.metadata)
        lease = Lease(
            metadata, LeaseSpec(self.holder, self.ttl_seconds or TTL_S_DEFAULT, self.name)
        )
        check_lease(lease)
        return lease


class Created(NamedTuple):
    """What came of creating a lease; `resumed`: its holder had it already."""

    lease: LeaseView
    resumed: bool


class LeasePage(msgspec.Struct, frozen=True):
    """Leases in the order of their ids; see `registry.listing.Page`."""

    leases: list[LeaseView]
    resource_version: str
    continue_token: str
    unreadable: int
    unreadable_names: tuple[str, ...] = ()


class LeaseService:
    """Leases of one store."""

    def __init__(
        self,
        store: Store,
        unreadable: UnreadableRows | None = None,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._store = store
        self._registry = Registry(
            store, LEASES, unreadable or UnreadableRows(), clock=clock, ids=ids or RandomIds()
        )
        self._tenures = Tenures(store, self._registry, clock)

    async def create(self, draft: LeaseDraft) -> Created:
        """Grant a lease.

        Raises `Invalid`, and `AlreadyExists` while another holder has the name; its details tell
        `id`, `holder` and `expires_at`. A holder that has the name already gets its lease again,
        renewed, with the TTL and metadata asked for: a call whose answer was lost can be repeated.
        """
        wanted = draft.lease()
        return await _settled(lambda: self._create(wanted))

    async def get(self, lease_id: str) -> LeaseView:
        """Read a lease. Raises `NotFound` when it has ended, and `Corrupt`."""
        return await _settled(lambda: self._get(lease_id))

    async def list(
        self, *, holder: str = "", name: str = "", limit: int = 0, continue_token: str = ""
    ) -> LeasePage:
        """Read a page of the leases, or of those with this holder and name.

        All pages show the leases of one moment, without those that ended since. Raises `Invalid`
        and `Compacted`.
        """
        fields = {"holder": holder, "name": name}
        page = await self._registry.list(
            ListQuery(
                namespace=NAMESPACE,
                fields={field: value for field, value in fields.items() if value},
                limit=limit,
                continue_token=continue_token,
            )
        )
        views: list[LeaseView | None] = []
        for start in range(0, len(page.items), _LOOKS_AT_ONCE):
            some = page.items[start : start + _LOOKS_AT_ONCE]
            views += await asyncio.gather(*map(self._listed, some))
        living = [view for view in views if view is not None]
        return LeasePage(
            living,
            str(page.resource_version),
            page.continue_token,
            page.unreadable,
            page.unreadable_names,
        )

    async def renew(self, lease_id: str, ttl_s: int = 0) -> LeaseView:
        """Let a lease run its whole TTL from now on, or another one if `ttl_s` is not 0.

        Raises `NotFound` when it has ended or lost its name, `Invalid`, and `Conflict` when the
        TTL cannot change because keys of others are attached to its store lease.
        """
        if ttl_s:
            check_ttl(ttl_s)

        async def attempt() -> LeaseView:
            lease = await self._read(lease_id)
            await require_name(self._store, lease.spec.name, lease_id)
            wanted_s = ttl_s or lease.spec.ttl_seconds
            return await self._tenures.extend(lease, wanted_s, lease.metadata.annotations)

        return await _settled(attempt)

    async def delete(self, lease_id: str) -> bool:
        """End a lease and delete the keys that are attached to it; tell whether there was one.

        Raises `Conflict` when others go on to change it.
        """
        if not _ID.fullmatch(lease_id):
            # Perhaps a row that somebody wrote past the API.
            with contextlib.suppress(Invalid):
                return await self._registry.delete(NAMESPACE, lease_id)
        found = False

        async def attempt() -> None:
            nonlocal found
            try:
                lease = await self._read(lease_id)
                found = True
                await self._tenures.end(lease)
            except NotFound:
                pass
            except Corrupt:
                # It does not tell its store lease, which will run out.
                found = True
                await self._registry.delete(NAMESPACE, lease_id)

        await _settled(attempt)
        return found

    async def _create(self, wanted: Lease) -> Created:
        name = wanted.spec.name
        seen = await read_name(self._store, name) if name else None
        if seen is not None:
            try:
                return Created(await self._take_again(seen, wanted), resumed=True)
            except NotFound:
                await free_name(self._store, seen)
        return Created(await self._tenures.begin(wanted), resumed=False)

    async def _take_again(self, seen: KeyValue, wanted: Lease) -> LeaseView:
        """Renew the lease that has the name, for its holder; to others it is refused."""
        lease = await self._read(seen.value.decode(errors="replace"))
        spec = wanted.spec
        if lease.spec.holder == spec.holder:
            annotations = wanted.metadata.annotations
            return await self._tenures.extend(lease, spec.ttl_seconds, annotations)
        held = await self._tenures.look(lease)
        raise AlreadyExists(
            f"lease name {spec.name} is held by {held.holder} until {held.expires_at}",
            id=held.id,
            name=spec.name,
            holder=held.holder,
            expires_at=held.expires_at,
        )

    async def _get(self, lease_id: str) -> LeaseView:
        return await self._tenures.look(await self._read(lease_id))

    async def _listed(self, lease: Lease) -> LeaseView | None:
        try:
            return await self._tenures.look(lease)
        except (NotFound, Moved):
            # As the page shows it, it may have been moved since.
            with contextlib.suppress(NotFound):
                return await self.get(lease.metadata.name)
        return None

    async def _read(self, lease_id: str) -> Lease:
        if not _ID.fullmatch(lease_id):
            raise NotFound(
                f"there is no lease {shown(lease_id)}: ids are lease- and 16 hexadecimal digits"
            )
        return await self._tenures.read(lease_id)


async def _settled(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Do it anew when others moved the lease meanwhile, a bounded number of times."""
    for _ in range(ATTEMPTS_MAX):
        with contextlib.suppress(Moved):
            return await attempt()
    raise Conflict(f"others changed the lease {ATTEMPTS_MAX} times meanwhile: try again")
