from __future__ import annotations

import pytest

from decube.kit.errors import Invalid
from decube.model.metadata import ObjectMeta, ResourceVersion, Uid
from decube.model.names import Name, Namespace
from decube.model.pod import PHASE_LENGTH_MAX, Pod, PodSpec, PodStatus, check_pod, view_of


def pod(*, node_name: str = "", phase: str = "", **labels: str) -> Pod:
    metadata = ObjectMeta(name=Name("a"), namespace=Namespace("default"), labels=labels)
    return Pod(metadata, PodSpec(node_name), PodStatus(phase))


def test_the_view_is_flat() -> None:
    metadata = ObjectMeta(
        name=Name("a"),
        namespace=Namespace("b"),
        uid=Uid("u"),
        resource_version=ResourceVersion(7),
        generation=2,
        creation_timestamp="2026-01-01T00:00:00Z",
        update_timestamp="2026-01-02T00:00:00Z",
        labels={"c": "d"},
        annotations={"e": "f"},
    )
    view = view_of(Pod(metadata, PodSpec("n"), PodStatus("running")))
    assert {name: getattr(view, name) for name in view.__struct_fields__} == {
        "name": "a",
        "namespace": "b",
        "status": "running",
        "node_name": "n",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00Z",
        "labels": {"c": "d"},
        "annotations": {"e": "f"},
        "resource_version": "7",
        "uid": "u",
        "generation": 2,
    }


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (pod(node_name="Node_1"), "node_name"),
        (pod(phase="x" * (PHASE_LENGTH_MAX + 1)), "status"),
        (pod(phase="a\nb"), "status"),
        (pod(app="-"), "labels.app"),
    ],
)
def test_a_broken_rule_names_the_flat_field(broken: Pod, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_pod(broken)
    assert refused.value.field == field
