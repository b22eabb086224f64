"""The operations on pods that REST and gRPC offer, told in the flat shape's words.

Texts become typed here (namespaces, selectors, resource versions), so that both transports refuse
the same things in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from decube.kit.clock import SystemClock
from decube.kit.errors import Invalid
from decube.kit.ids import RandomIds
from decube.model.metadata import ObjectMeta, ResourceVersion
from decube.model.names import NAMESPACE_DEFAULT, Name, Namespace, check_namespace, shown
from decube.model.pod import Pod, PodSpec, PodStatus, check_pod
from decube.model.selector import EVERYTHING, Selector
from decube.registry.kind import Kind
from decube.registry.listing import ListQuery, Page
from decube.registry.registry import Registry
from decube.registry.unreadable import UnreadableRows
from decube.registry.watching import Changes, WatchQuery
from decube.store.local import LocalReads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from decube.kit.clock import Clock
    from decube.kit.ids import Ids
    from decube.store.protocol import Store

PODS = Kind("pods", "pod", Pod, check_pod)

ALL_NAMESPACES = "*"

_RESOURCE_VERSION_MAX = 2**63 - 1


class PodDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A pod to be created; an empty namespace is the default one."""

    name: str
    namespace: str = NAMESPACE_DEFAULT
    status: str = ""
    node_name: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class PodChange(msgspec.Struct, frozen=True, kw_only=True):
    """Fields to set; what is unset stays. Labels and annotations are replaced as whole maps."""

    status: str | UnsetType = UNSET
    node_name: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    annotations: dict[str, str] | UnsetType = UNSET

    def applied_to(self, pod: Pod) -> Pod:
        """Return the pod with these fields set."""
        metadata = pod.metadata
        if self.labels is not UNSET:
            metadata = msgspec.structs.replace(metadata, labels=self.labels)
        if self.annotations is not UNSET:
            metadata = msgspec.structs.replace(metadata, annotations=self.annotations)
        return Pod(
            metadata,
            pod.spec if self.node_name is UNSET else PodSpec(self.node_name),
            pod.status if self.status is UNSET else PodStatus(self.status),
        )


class PodService:
    """Pods of one store."""

    def __init__(
        self,
        store: Store,
        unreadable: UnreadableRows | None = None,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        unreadable = unreadable or UnreadableRows()
        clock, ids = clock or SystemClock(), ids or RandomIds()
        self._registry = Registry(store, PODS, unreadable, clock=clock, ids=ids)
        self._local = Registry(LocalReads(store), PODS, unreadable, clock=clock, ids=ids)

    async def create(self, draft: PodDraft) -> Pod:
        """Create a pod. Raises `Invalid` and `AlreadyExists`."""
        metadata = ObjectMeta(
            name=Name(draft.name),
            namespace=Namespace(draft.namespace or NAMESPACE_DEFAULT),
            labels=draft.labels,
            annotations=draft.annotations,
        )
        return await self._registry.create(
            Pod(metadata, PodSpec(draft.node_name), PodStatus(draft.status))
        )

    async def get(self, namespace: str, name: str, *, local: bool = False) -> Pod:
        """Read a pod; with `local` as this node has it, which on a standby may be a little old.

        Raises `NotFound`, `Invalid` and `Corrupt`.
        """
        registry = self._local if local else self._registry
        return await registry.get(namespace or NAMESPACE_DEFAULT, name)

    async def list(
        self,
        namespace: str,
        selector: Selector = EVERYTHING,
        *,
        limit: int = 0,
        continue_token: str = "",
        local: bool = False,
    ) -> Page[Pod]:
        """Read a page of the pods of a namespace, or with `*` of all; `local` as in `get`.

        Raises `Invalid` and `Compacted`.
        """
        return await (self._local if local else self._registry).list(
            ListQuery(
                namespace=listed_namespace(namespace),
                selector=selector,
                limit=limit,
                continue_token=continue_token,
            )
        )

    async def update(
        self, namespace: str, name: str, change: PodChange, *, resource_version: str = ""
    ) -> Pod:
        """Merge a change; with `resource_version` only into that version.

        Raises `NotFound`, `Conflict`, `Invalid` and `Corrupt`.
        """
        return await self._registry.update(
            namespace or NAMESPACE_DEFAULT,
            name,
            change.applied_to,
            expected=parse_resource_version(resource_version) if resource_version else None,
        )

    async def delete(self, namespace: str, name: str, *, resource_version: str = "") -> bool:
        """Delete a pod, readable or not; tell whether there was one.

        Raises `Conflict` and `Invalid`.
        """
        return await self._registry.delete(
            namespace or NAMESPACE_DEFAULT,
            name,
            expected=parse_resource_version(resource_version) if resource_version else None,
        )

    def watch(
        self, namespace: str, selector: Selector = EVERYTHING, *, resource_version: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Changes[Pod]]]:
        """Watch the pods of a namespace, or with `*` of all.

        From `resource_version` on; without one, or with `0`, the present pods come first.
        """
        seen = parse_resource_version(resource_version or "0")
        return self._registry.watch(
            WatchQuery(
                namespace=listed_namespace(namespace),
                selector=selector,
                resource_version=seen or None,
            )
        )


def listed_namespace(text: str) -> Namespace | None:
    """Read a list's namespace: empty is the default one, `*` is all (None)."""
    if text == ALL_NAMESPACES:
        return None
    return check_namespace(text) if text else NAMESPACE_DEFAULT


def parse_resource_version(text: str, field: str = "resource_version") -> ResourceVersion:
    """Read a resource version as the APIs write it: decimal digits."""
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(_RESOURCE_VERSION_MAX))
    if not digits or int(text) > _RESOURCE_VERSION_MAX:
        raise Invalid(
            f"{field} {shown(text)} is not a resource version: digits, as an object has it",
            field=field,
        )
    return ResourceVersion(int(text))
