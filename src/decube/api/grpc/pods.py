"""The pod calls: messages in, the pod service, messages out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from decube.api.grpc.errors import TOLD, told
from decube.kit.errors import Invalid
from decube.model.labels import check_labels
from decube.model.names import shown
from decube.model.selector import EVERYTHING, Selector
from decube.model.selector_text import parse_selector
from decube.pb.decube import decube_pb2 as pb
from decube.services.pods import PodChange, PodDraft

if TYPE_CHECKING:
    from decube.model.pod import Pod
    from decube.services.pods import PodService

CHANGEABLE = ("status", "node_name", "labels", "annotations")
"""What an update's mask may name."""


class PodCalls:
    """The pod part of the service."""

    def __init__(self, pods: PodService) -> None:
        self._pods = pods

    async def create_pod(self, request: pb.CreatePodRequest) -> pb.CreatePodResponse:
        """Create a pod; one that exists is told in the answer."""
        try:
            pod = await self._pods.create(_draft_of(request.pod))
        except TOLD as error:
            return pb.CreatePodResponse(**told(error))
        return pb.CreatePodResponse(pod=message_of(pod), success=True)

    async def get_pod(self, request: pb.GetPodRequest) -> pb.GetPodResponse:
        """Read a pod; an absent one is told in the answer."""
        try:
            pod = await self._pods.get(request.namespace, request.name, local=request.local)
        except TOLD as error:
            return pb.GetPodResponse(error=error.message, error_code=error.code)
        return pb.GetPodResponse(pod=message_of(pod), found=True)

    async def list_pods(self, request: pb.ListPodsRequest) -> pb.ListPodsResponse:
        """Read a page of pods. Its answer has no error: every error fails the call."""
        page = await self._pods.list(
            request.namespace,
            _selector_of(request),
            limit=request.limit,
            continue_token=request.continuation_token,
            local=request.local,
        )
        return pb.ListPodsResponse(
            pods=[message_of(pod) for pod in page.items],
            count=len(page.items),
            next_continuation_token=page.continue_token,
            resource_version=str(page.resource_version),
            unreadable=page.unreadable,
            unreadable_names=page.unreadable_names,
        )

    async def update_pod(self, request: pb.UpdatePodRequest) -> pb.UpdatePodResponse:
        """Merge fields into a pod; an absent pod or a conflict is told in the answer."""
        wanted = request.pod
        try:
            pod = await self._pods.update(
                wanted.namespace,
                wanted.name,
                _change_of(request),
                resource_version=wanted.resource_version,
            )
        except TOLD as error:
            return pb.UpdatePodResponse(**told(error))
        return pb.UpdatePodResponse(pod=message_of(pod), success=True)

    async def delete_pod(self, request: pb.DeletePodRequest) -> pb.DeletePodResponse:
        """Delete a pod; there being none is no error."""
        try:
            deleted = await self._pods.delete(
                request.namespace, request.name, resource_version=request.resource_version
            )
        except TOLD as error:
            return pb.DeletePodResponse(**told(error))
        return pb.DeletePodResponse(deleted=deleted)


def message_of(pod: Pod) -> pb.Pod:
    """Write a pod as a message."""
    meta = pod.metadata
    return pb.Pod(
        name=meta.name,
        namespace=meta.namespace,
        status=pod.status.phase,
        node_name=pod.spec.node_name,
        created_at=meta.creation_timestamp,
        updated_at=meta.update_timestamp,
        labels=meta.labels,
        annotations=meta.annotations,
        resource_version=str(meta.resource_version),
        uid=meta.uid,
        generation=meta.generation,
    )


def _draft_of(pod: pb.Pod) -> PodDraft:
    if pod.resource_version not in ("", "0"):
        raise Invalid(
            "resource_version must be empty: a pod to be created has none",
            field="pod.resource_version",
        )
    return PodDraft(
        name=pod.name,
        namespace=pod.namespace,
        status=pod.status,
        node_name=pod.node_name,
        labels=dict(pod.labels),
        annotations=dict(pod.annotations),
    )


def _change_of(request: pb.UpdatePodRequest) -> PodChange:
    pod = request.pod
    paths = list(request.update_mask.paths)
    if not paths:
        fields = {name for name in CHANGEABLE if getattr(pod, name)}
    elif paths == ["*"]:
        fields = set(CHANGEABLE)
    else:
        fields = set(paths)
        for path in paths:
            if path not in CHANGEABLE:
                raise Invalid(
                    f"update_mask names {shown(path)}: known are {', '.join(CHANGEABLE)}, or *",
                    field="update_mask",
                )
    return PodChange(
        status=pod.status if "status" in fields else UNSET,
        node_name=pod.node_name if "node_name" in fields else UNSET,
        labels=dict(pod.labels) if "labels" in fields else UNSET,
        annotations=dict(pod.annotations) if "annotations" in fields else UNSET,
    )


def _selector_of(request: pb.ListPodsRequest) -> Selector:
    """Return what both `labels` and `label_selector` select."""
    if not request.labels and not request.label_selector:
        return EVERYTHING
    check_labels(request.labels)
    equal = Selector.equal_to(request.labels)
    return Selector(equal.requirements + parse_selector(request.label_selector).requirements)
