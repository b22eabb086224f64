"""The bodies of requests and answers. `openapi` describes them from these types."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from decube.model.pod import PodView


class _ReadOnly(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server sets. Accepted, so that what a GET returned can be sent back."""

    created_at: str | UnsetType = UNSET
    updated_at: str | UnsetType = UNSET
    uid: str | UnsetType = UNSET
    generation: int | UnsetType = UNSET


class PodCreation(_ReadOnly, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pod to create. `resource_version` must be absent or empty: there is none yet."""

    name: str = ""
    namespace: str = ""
    status: str = ""
    node_name: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    resource_version: str = ""


class PodUpdate(_ReadOnly, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of a pod to set; maps are replaced whole, absent fields stay.

    `name` and `namespace`, if given, must be those of the URL. With `resource_version` the update
    happens only if the pod is at that version.
    """

    name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    node_name: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    annotations: dict[str, str] | UnsetType = UNSET
    resource_version: str = ""


class PodStored(msgspec.Struct, frozen=True):
    """A pod as it was created or updated."""

    pod: PodView
    success: Literal[True] = True


class PodFound(msgspec.Struct, frozen=True):
    """A pod that was asked for."""

    pod: PodView
    found: Literal[True] = True


class PodList(msgspec.Struct, frozen=True):
    """A page of pods, as they were at `resource_version`.

    `count` is that of this page. `continue` is the token of the next page, "" on the last one.
    `unreadable` rows of the store were left out; `unreadable_names` are the first of them.
    """

    pods: list[PodView]
    count: int
    resource_version: str
    continue_token: str = msgspec.field(name="continue", default="")
    unreadable: int = 0
    unreadable_names: tuple[str, ...] = ()


class Deleted(msgspec.Struct, frozen=True):
    """Whether there was something to delete."""

    deleted: bool


class PodChangeLine(msgspec.Struct, frozen=True):
    """A line of a watch: a change, and the pod after it (for DELETED: its last state)."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource_version: str
    pod: PodView


class BookmarkLine(msgspec.Struct, frozen=True):
    """A line of a watch: everything up to `resource_version` has been told."""

    type: Literal["BOOKMARK"]
    resource_version: str


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go from the root, as paths."""

    name: str = "DeCube"
    version: str
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    health: str = "/health"
    node: str = "/node/info"
    metrics: str = "/metrics"


class Health(msgspec.Struct, frozen=True):
    """How the node is; `reason` says why it is unhealthy.

    A node with a part in replication tells it, as `NodeInfo` does.
    """

    status: Literal["healthy", "unhealthy"]
    timestamp: str
    is_leader: bool
    role: Literal["primary", "standby"] | UnsetType = UNSET
    term: int | UnsetType = UNSET
    lag_seconds: float | UnsetType = UNSET
    reason: str | UnsetType = UNSET
