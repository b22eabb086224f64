"""An update is the shallow merge of two mappings, as the original's was."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from decube.model.metadata import ObjectMeta
from decube.model.names import Name, Namespace
from decube.model.pod import Pod, PodSpec, PodStatus, view_of
from decube.services.pods import PodChange

TEXTS = st.text(alphabet="abc", max_size=3)
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=3)
PODS = st.builds(
    lambda labels, annotations, node_name, phase: Pod(
        ObjectMeta(
            name=Name("a"),
            namespace=Namespace("b"),
            labels=labels,
            annotations=annotations,
        ),
        PodSpec(node_name),
        PodStatus(phase),
    ),
    MAPS,
    MAPS,
    TEXTS,
    TEXTS,
)
CHANGES = st.fixed_dictionaries(
    {}, optional={"status": TEXTS, "node_name": TEXTS, "labels": MAPS, "annotations": MAPS}
)


@given(PODS, CHANGES)
def test_a_change_is_a_shallow_merge(pod: Pod, change: dict[str, object]) -> None:
    before = msgspec.structs.asdict(view_of(pod))
    after = msgspec.structs.asdict(view_of(PodChange(**change).applied_to(pod)))  # type: ignore[arg-type]
    assert after == before | change


@given(PODS, CHANGES)
def test_a_change_applied_twice_is_applied_once(pod: Pod, change: dict[str, object]) -> None:
    wanted = PodChange(**change)  # type: ignore[arg-type]
    assert wanted.applied_to(wanted.applied_to(pod)) == wanted.applied_to(pod)
