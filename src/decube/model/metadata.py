"""What every resource has: metadata, in Kubernetes' shape, beside its own spec and status.

`resource_version`, `create_version` and `store_lease` are facts of the object's key in the store:
its modification revision, the revision that created it, and the store lease that it ends with. They
are not stored with the object, but set from the key when the object is read.
"""

from __future__ import annotations

from typing import NewType

import msgspec

from decube.model.names import Name, Namespace

Uid = NewType("Uid", str)
ResourceVersion = NewType("ResourceVersion", int)
StoreLease = NewType("StoreLease", int)

NOT_STORED = ResourceVersion(0)
"""The resource version of an object that has not been stored yet."""
NO_STORE_LEASE = StoreLease(0)


class OwnerReference(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The object this one belongs to, and goes with."""

    api_version: str
    kind: str
    name: Name
    uid: Uid
    controller: bool = False


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Identity and bookkeeping of an object.

    `generation` counts the versions of the spec. Timestamps are RFC 3339, UTC, whole seconds.
    While `finalizers` are left, deletion only sets `deletion_timestamp`.
    """

    name: Name
    namespace: Namespace
    uid: Uid = Uid("")
    resource_version: ResourceVersion = NOT_STORED
    create_version: ResourceVersion = NOT_STORED
    store_lease: StoreLease = NO_STORE_LEASE
    generation: int = 0
    creation_timestamp: str = ""
    update_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class Nothing(msgspec.Struct, frozen=True):
    """The spec or status of a kind that has none."""


class Resource(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What every kind has; a kind narrows `spec` and `status`, both with defaults.

    A change of the spec raises the generation.
    """

    metadata: ObjectMeta
    spec: msgspec.Struct = Nothing()
    status: msgspec.Struct = Nothing()
