"""Pods: the resource, and the flat shape in which the REST and gRPC APIs show it."""

from __future__ import annotations

import msgspec

from decube.kit.errors import Invalid
from decube.model.labels import check_annotations, check_labels
from decube.model.metadata import Resource
from decube.model.names import check_name, check_namespace, check_subdomain

PHASE_LENGTH_MAX = 63


class PodSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is wanted: on which node, once that is decided."""

    node_name: str = ""


class PodStatus(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is: a word such as `running`, in the reporter's own vocabulary."""

    phase: str = ""


class Pod(Resource, frozen=True, rename="camel", omit_defaults=True):
    """A pod as it is stored."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PodView(msgspec.Struct, frozen=True):
    """A pod as the flat APIs show it. `resource_version` is the value to compare and swap with."""

    name: str
    namespace: str
    status: str
    node_name: str
    created_at: str
    updated_at: str
    labels: dict[str, str]
    annotations: dict[str, str]
    resource_version: str
    uid: str
    generation: int


def view_of(pod: Pod) -> PodView:
    """Flatten a pod."""
    meta = pod.metadata
    return PodView(
        meta.name,
        meta.namespace,
        pod.status.phase,
        pod.spec.node_name,
        meta.creation_timestamp,
        meta.update_timestamp,
        meta.labels,
        meta.annotations,
        str(meta.resource_version),
        meta.uid,
        meta.generation,
    )


def check_pod(pod: Pod) -> None:
    """Raise `Invalid`, naming the field of the flat shape, if a pod breaks a rule."""
    check_name(pod.metadata.name)
    check_namespace(pod.metadata.namespace)
    check_labels(pod.metadata.labels)
    check_annotations(pod.metadata.annotations)
    if pod.spec.node_name:
        check_subdomain(pod.spec.node_name, "node_name")
    _check_phase(pod.status.phase)


def _check_phase(phase: str) -> None:
    if len(phase) > PHASE_LENGTH_MAX:
        raise Invalid(
            f"status has {len(phase)} characters, at most {PHASE_LENGTH_MAX} are allowed",
            field="status",
        )
    if not phase.isprintable():
        raise Invalid("status has characters that cannot be printed", field="status")
