"""The bugs that etcd's robustness tests found in etcd, as scenarios: docs/bugs.md has the table.

Each makes what led to the bug in etcd, and looks at what the bug did there.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import grpc
import pytest
from tests.conformance.etcd_bugs.client import ALL, Beside, Client

from decube.pb.etcd import kv_pb2
from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

PUT, DELETE = kv_pb2.Event.PUT, kv_pb2.Event.DELETE
WRITES = 100
TRANSACTIONS = 40


def check_every_revision(client: Client, acknowledged: dict[int, str]) -> None:
    """Revisions have no gap, what was acknowledged has its own, and together they are the state."""
    state = client.everything()
    history = client.history(since=2)
    revisions = [event.kv.mod_revision for event in history]
    assert revisions == list(range(2, state.header.revision + 1))
    values = {event.kv.mod_revision: event.kv.value.decode() for event in history}
    assert acknowledged.items() <= values.items()
    latest = {event.kv.key: event.kv for event in history}
    assert [latest[kv.key] for kv in state.kvs] == list(state.kvs)
    assert state.count == len(latest)


def test_a_crash_while_writing_and_defragmenting_keeps_what_was_acknowledged(
    node: NodeProcess,
) -> None:
    """14370: a lost write. 13766, 14685: other revisions after a crash, or a crash in defrag."""
    acknowledged: dict[int, str] = {}
    values = map(str, itertools.count())
    for _ in range(2):
        node.ensure_started()
        with Client(node.etcd_address) as client, Client(node.etcd_address) as other:
            defragment = Beside(
                lambda other=other: other.maintenance.Defragment(pb.DefragmentRequest()),  # type: ignore[misc]
                until_killed=True,
            )
            with defragment:
                for value in itertools.islice(values, WRITES):
                    acknowledged[client.put(f"key-{len(value)}", value)] = value
                node.kill()
            assert defragment.times > 0, "nothing was defragmented beside the writes"
        node.ensure_started()
        with Client(node.etcd_address) as client:
            check_every_revision(client, acknowledged)


def test_a_crash_in_a_compaction_does_not_take_revisions_back(node: NodeProcess) -> None:
    """17780: of a compacted store whose last changes are deletes, the revision was lower then."""
    node.ensure_started()
    for _ in range(2):
        with Client(node.etcd_address) as client:
            for _ in range(WRITES):
                client.put("key", "v" * 100)
            revision = client.delete("key")
            client.compact(revision, physical=False)
            node.kill()
        node.ensure_started()
        with Client(node.etcd_address) as client:
            state = client.everything()
            assert (state.header.revision, state.count) == (revision, 0)
            assert client.put("key") == revision + 1


def test_progress_is_never_ahead_of_events(node: NodeProcess) -> None:
    """15220: whoever goes on from a progress notice must miss nothing."""
    node.ensure_started()
    with Client(node.etcd_address) as client, Client(node.etcd_address) as writer:
        numbers = itertools.count()
        with (
            client.watch(**ALL) as watch,
            Beside(lambda: writer.put(f"key-{next(numbers) % 7}")),
        ):
            told, notices = watch.created.header.revision, 0
            watch.ask_for_progress()
            for response in watch.responses():
                for event in response.events:
                    assert event.kv.mod_revision == told + 1, "in order, each once, and not late"
                    told = event.kv.mod_revision
                if not response.events:
                    notices += 1
                    assert response.header.revision == told
                # A request is forgotten while the watcher is behind.
                watch.ask_for_progress()
                if notices > WRITES and told > WRITES:
                    return
    raise AssertionError("the stream ended")


def test_no_event_of_a_transaction_comes_twice(node: NodeProcess) -> None:
    """17247: an event twice, of transactions that write while a watcher catches up."""
    node.ensure_started()
    with Client(node.etcd_address) as client, Client(node.etcd_address) as writer:
        keys = [f"key-{number:02}".encode() for number in range(50)]
        txn = pb.TxnRequest(
            success=[pb.RequestOp(request_put=pb.PutRequest(key=key)) for key in keys]
        )
        seen: list[list[tuple[int, bytes]]] = []
        with Beside(lambda: writer.kv.Txn(txn)) as writing:
            while writing.times < TRANSACTIONS:
                seen.append(told(client.history(since=2)))
        whole = told(client.history(since=2))
        assert whole == sorted(set(whole))
        assert all(part == whole[: len(part)] for part in seen)


def told(events: list[kv_pb2.Event]) -> list[tuple[int, bytes]]:
    return [(event.kv.mod_revision, event.kv.key) for event in events]


def test_a_stream_that_is_starved_loses_no_event(node: NodeProcess) -> None:
    """17529: events of watchers whose stream was full were lost."""
    node.ensure_started()
    with Client(node.etcd_address) as starved, Client(node.etcd_address) as writer:
        watches = [starved.watch(key=b"key") for _ in range(20)]
        value = "v" * 20_000
        revisions = [writer.put("key", value) for _ in range(WRITES)]
        for watch in watches:
            with watch:
                events = watch.events_through(revisions[-1])
                assert [event.kv.mod_revision for event in events] == revisions


def test_a_delete_that_is_compacted_is_still_told(node: NodeProcess) -> None:
    """18089, 19179: a watch from the compacted revision missed the delete at it."""
    node.ensure_started()
    with Client(node.etcd_address) as client:
        client.put("a")
        client.put("b")
        deleted = client.delete("a")
        client.compact(deleted)
        client.put("c")
        told = [(event.type, event.kv.key) for event in client.history(since=deleted)]
        assert told == [(DELETE, b"a"), (PUT, b"c")]


def test_a_watch_of_the_future_is_told_nothing_of_before(node: NodeProcess) -> None:
    """20221: early notices of progress, and events below the start, for instance after a crash."""
    node.environment = {
        **node.environment,
        "DECUBE_ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL": "100ms",
    }
    node.ensure_started()
    with Client(node.etcd_address) as client:
        start = client.put("a") + 5
    node.kill()
    node.ensure_started()
    with Client(node.etcd_address) as client:
        present = client.watch(progress_notify=True, **ALL)
        with present, client.watch(start_revision=start, progress_notify=True, **ALL) as future:
            # As many notices as show that the other one was passed over, and no sleep.
            notices = itertools.islice(present.responses(), 3)
            assert all(response.header.revision < start for response in notices)
            while client.put("a") < start:
                pass
            first = next(future.responses())
            assert [event.kv.mod_revision for event in first.events] == [start]


def test_a_key_that_is_deleted_and_written_at_once_outlives_the_compaction(
    node: NodeProcess,
) -> None:
    """22376: a transaction rewrites all keys; compacted to that, their values were gone."""
    node.ensure_started()
    with Client(node.etcd_address) as client:
        client.put("a", "old")
        rewrite = [
            pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(**ALL)),
            pb.RequestOp(request_put=pb.PutRequest(key=b"a", value=b"new")),
        ]
        revision = client.kv.Txn(pb.TxnRequest(success=rewrite)).header.revision
        client.compact(revision)
        before = client.everything().kvs
        assert [(kv.value, kv.version, kv.mod_revision) for kv in before] == [(b"new", 1, revision)]
    node.kill()
    node.ensure_started()
    with Client(node.etcd_address) as client:
        assert client.everything().kvs == before
        assert client.put("b") == revision + 1


def test_a_transaction_reads_nothing_that_is_compacted(node: NodeProcess) -> None:
    """18667: a read inside a transaction at a compacted revision was answered."""
    node.ensure_started()
    with Client(node.etcd_address) as client:
        for value in ("1", "2", "3"):
            client.put("a", value)
        client.compact(4)
        read = pb.RequestOp(request_range=pb.RangeRequest(key=b"a", revision=3))
        write = pb.RequestOp(request_put=pb.PutRequest(key=b"a"))
        for operations in ([read], [write, read]):
            with pytest.raises(grpc.RpcError, match="required revision has been compacted"):
                client.kv.Txn(pb.TxnRequest(success=operations))
        assert client.everything().header.revision == 4
