"""The lease calls: messages in, the lease service, messages out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.api.grpc.errors import TOLD
from decube.kit.errors import AlreadyExists
from decube.pb.decube import decube_pb2 as pb
from decube.services.leases import LeaseDraft

if TYPE_CHECKING:
    from decube.model.lease import LeaseView
    from decube.services.leases import LeaseService


class LeaseCalls:
    """The lease part of the service."""

    def __init__(self, leases: LeaseService) -> None:
        self._leases = leases

    async def create_lease(self, request: pb.CreateLeaseRequest) -> pb.CreateLeaseResponse:
        """Grant a lease; a name that another holder has is told in the answer."""
        draft = LeaseDraft(
            holder=request.holder,
            ttl_seconds=request.ttl_seconds,
            metadata=dict(request.metadata),
            name=request.name,
        )
        try:
            lease, resumed = await self._leases.create(draft)
        except AlreadyExists as error:
            facts = {name: str(value) for name, value in error.details.items()}
            held = pb.Lease(
                id=facts["id"],
                name=facts["name"],
                holder=facts["holder"],
                expires_at=facts["expires_at"],
            )
            return pb.CreateLeaseResponse(error=error.message, error_code=error.code, current=held)
        except TOLD as error:
            return pb.CreateLeaseResponse(error=error.message, error_code=error.code)
        return pb.CreateLeaseResponse(lease=message_of(lease), success=True, resumed=resumed)

    async def get_lease(self, request: pb.GetLeaseRequest) -> pb.GetLeaseResponse:
        """Read a lease; one that has ended is told in the answer."""
        try:
            lease = await self._leases.get(request.id)
        except TOLD as error:
            return pb.GetLeaseResponse(error=error.message, error_code=error.code)
        return pb.GetLeaseResponse(lease=message_of(lease), found=True)

    async def list_leases(self, request: pb.ListLeasesRequest) -> pb.ListLeasesResponse:
        """Read a page of leases. Its answer has no error: every error fails the call."""
        page = await self._leases.list(
            holder=request.holder,
            name=request.name,
            limit=request.limit,
            continue_token=request.continuation_token,
        )
        return pb.ListLeasesResponse(
            leases=[message_of(lease) for lease in page.leases],
            count=len(page.leases),
            next_continuation_token=page.continue_token,
            resource_version=page.resource_version,
            unreadable=page.unreadable,
            unreadable_names=page.unreadable_names,
        )

    async def renew_lease(self, request: pb.RenewLeaseRequest) -> pb.RenewLeaseResponse:
        """Renew a lease; one that has ended is told in the answer."""
        try:
            lease = await self._leases.renew(request.id, request.ttl_seconds)
        except TOLD as error:
            return pb.RenewLeaseResponse(error=error.message, error_code=error.code)
        return pb.RenewLeaseResponse(lease=message_of(lease), success=True)

    async def delete_lease(self, request: pb.DeleteLeaseRequest) -> pb.DeleteLeaseResponse:
        """End a lease; there being none is no error."""
        try:
            deleted = await self._leases.delete(request.id)
        except TOLD as error:
            return pb.DeleteLeaseResponse(error=error.message, error_code=error.code)
        return pb.DeleteLeaseResponse(deleted=deleted)


def message_of(lease: LeaseView) -> pb.Lease:
    """Write a lease as a message."""
    return pb.Lease(
        id=lease.id,
        holder=lease.holder,
        ttl_seconds=lease.ttl_seconds,
        granted_at=lease.granted_at,
        expires_at=lease.expires_at,
        metadata=lease.metadata,
        name=lease.name,
        fencing_token=lease.fencing_token,
        created_at=lease.created_at,
    )
