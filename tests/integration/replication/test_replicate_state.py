"""`ReplicateState`: the unary form of replication, with the same checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from tests.support.replicas import TOKEN, wait_until

from decube.pb.decube import decube_pb2 as pb
from decube.pb.decube.decube_pb2_grpc import DeCubeServiceStub

if TYPE_CHECKING:
    from tests.support.replicas import Replica, Replicas

BEARER = (("authorization", f"Bearer {TOKEN}"),)


def replicate(
    node: Replica,
    *entries: pb.StateEntry,
    metadata: tuple[tuple[str, str], ...] = BEARER,
    term: int = 0,
) -> pb.ReplicateStateResponse:
    with grpc.insecure_channel(node.grpc_address) as channel:
        request = pb.ReplicateStateRequest(peer_address="a:2380", entries=entries, term=term)
        return DeCubeServiceStub(channel).ReplicateState(request, timeout=20, metadata=metadata)


def entry(key: str, revision: int, value: bytes = b"v", **more: bool) -> pb.StateEntry:
    return pb.StateEntry(key=key, value=value, revision=revision, **more)


async def alone(two: Replicas) -> tuple[Replica, int]:
    """Leave the standby without its primary; returns it and its revision."""
    two["a"].put("before")
    await two.wait_until_equal()
    two["a"].kill()
    b = two["b"]
    await wait_until(lambda: b.state()["primary"] is None, two.told)
    return b, int(b.state()["revision"])


async def test_revisions_are_applied_as_exactly_those(two: Replicas) -> None:
    b, now = await alone(two)
    sent = (entry("x", now + 1), entry("y", now + 1), entry("x", now + 2, deleted=True))
    answer = replicate(b, *sent)
    assert (answer.success, answer.applied_revision) == (True, now + 2)
    assert (b.get("x"), b.get("y")) == (None, "v")
    again = replicate(b, *sent)
    assert (again.success, again.applied_revision) == (True, now + 2), "repeats are ignored"
    gap = replicate(b, entry("z", now + 5))
    assert (gap.success, gap.error_code) == (False, "conflict")
    assert (gap.wanted_revision, gap.applied_revision) == (now + 3, now + 2)
    # Its primary knows nothing of all that, and sends it an image.
    await two.start("a")
    await two.wait_until_equal()
    assert b.get("y") is None


async def test_a_stranger_is_refused(two: Replicas) -> None:
    for metadata in ((), (("authorization", "Bearer guessed"),)):
        with pytest.raises(grpc.RpcError) as refused:
            replicate(two["b"], entry("x", 2), metadata=metadata)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


async def test_a_primary_and_a_fed_standby_take_nothing(two: Replicas) -> None:
    a, b = two["a"], two["b"]
    # The first may have come by an image, whose session ends with it; the second is fed.
    for key in ("seeded", "fed"):
        a.put(key)
        await two.wait_until_equal()
    for node in (a, b):
        answer = replicate(node, entry("x", 4))
        assert (answer.success, answer.error_code) == (False, "conflict"), node.name
        assert answer.applied_revision == 3


async def test_an_old_term_and_entries_that_cannot_be_are_refused(two: Replicas) -> None:
    b, _ = await alone(two)
    b.promote()
    b.demote()
    now = int(b.state()["revision"])
    # The next revision, of a standby that nobody feeds: the term alone is wrong.
    old = replicate(b, entry("x", now + 1), term=1)
    assert (old.success, old.error_code, old.term) == (False, "conflict", 2)
    assert replicate(b, entry("x", now + 1), term=2).success
    for wrong, field in (
        (entry("", now + 2), "entries[0].key"),
        (entry("x", 0), "entries[0].revision"),
    ):
        answer = replicate(b, wrong)
        assert (answer.success, answer.error_code) == (False, "invalid")
        assert field in answer.error
