"""Leases: the resource, and the flat shape in which the REST and gRPC APIs show it.

A lease is held by somebody for a time. Its key is attached to a lease of the store, which ends it;
so how long it still runs is the store's to tell, and no part of the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from decube.kit.errors import Invalid
from decube.model.labels import check_annotations
from decube.model.metadata import Resource
from decube.model.names import check_name
from decube.model.timestamps import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

HOLDER_LENGTH_MAX = 253
TTL_S_DEFAULT = 30
TTL_S_MIN = 2
"""The store ends no lease sooner: it raises shorter TTLs to this, which the caller should be told
instead. It is also etcd's minimum, at its usual election timeout of 1 s."""
TTL_S_MAX = 9_000_000_000
"""What a store takes; 285 years."""


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who holds it, for how long after each renewal, and the name that it keeps others from."""

    holder: str = ""
    ttl_seconds: int = 0
    name: str = ""


class Lease(Resource, frozen=True, rename="camel", omit_defaults=True):
    """A lease as it is stored. `metadata.name` is its id, `metadata.annotations` its metadata."""

    spec: LeaseSpec = LeaseSpec()


class LeaseView(msgspec.Struct, frozen=True):
    """A lease as the flat APIs show it.

    `granted_at` is the moment of the last renewal, `expires_at` the end if there is no other.
    `fencing_token` is higher than that of any lease that ended before this one was created.
    """

    id: str
    holder: str
    ttl_seconds: int
    granted_at: str
    expires_at: str
    metadata: dict[str, str]
    name: str
    fencing_token: int
    created_at: str


def view_of(lease: Lease, granted_at: datetime, expires_at: datetime) -> LeaseView:
    """Flatten a lease."""
    meta, spec = lease.metadata, lease.spec
    return LeaseView(
        id=meta.name,
        holder=spec.holder,
        ttl_seconds=spec.ttl_seconds,
        granted_at=rfc3339(granted_at),
        expires_at=rfc3339(expires_at),
        metadata=meta.annotations,
        name=spec.name,
        fencing_token=meta.create_version,
        created_at=meta.creation_timestamp,
    )


def check_lease(lease: Lease) -> None:
    """Raise `Invalid`, naming the field of the flat shape, if a lease breaks a rule."""
    spec = lease.spec
    _check_holder(spec.holder)
    check_ttl(spec.ttl_seconds)
    if spec.name:
        check_name(spec.name)
    check_annotations(lease.metadata.annotations, field="metadata")


def check_ttl(ttl_s: int) -> None:
    """Raise `Invalid` for a TTL that is out of bounds."""
    if not TTL_S_MIN <= ttl_s <= TTL_S_MAX:
        raise Invalid(
            f"ttl_seconds {ttl_s} is out of bounds: {TTL_S_MIN} to {TTL_S_MAX}",
            field="ttl_seconds",
        )


def _check_holder(holder: str) -> None:
    if not holder:
        raise Invalid("holder is required", field="holder")
    if len(holder) > HOLDER_LENGTH_MAX:
        raise Invalid(
            f"holder has {len(holder)} characters, at most {HOLDER_LENGTH_MAX} are allowed",
            field="holder",
        )
    if not holder.isprintable():
        raise Invalid("holder has characters that cannot be printed", field="holder")
