"""Conversations by situation, and random ones from a seed."""

from __future__ import annotations

import random  # noqa: TID251 - of a recorded seed
from typing import TYPE_CHECKING, Any

from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.watches.conversation import Conversation

    Script = Callable[[Conversation], None]

KEYS = (b"a", b"a1", b"a2", b"b", b"b1", b"c")
ENDS = (b"", b"", b"b", b"c", b"\0", b"a2")
ALL = {"key": b"\0", "range_end": b"\0"}
NO_PUT, NO_DELETE = pb.WatchCreateRequest.NOPUT, pb.WatchCreateRequest.NODELETE
LONG_VALUE = b"v" * (900 << 10)


def txn(*operations: pb.RequestOp) -> pb.TxnRequest:
    return pb.TxnRequest(success=operations)


def put(key: bytes, value: bytes = b"v", **fields: Any) -> pb.RequestOp:  # noqa: ANN401
    return pb.RequestOp(request_put=pb.PutRequest(key=key, value=value, **fields))


def delete(key: bytes, end: bytes = b"") -> pb.RequestOp:
    return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key, range_end=end))


def filters(talk: Conversation) -> None:
    for chosen in ([NO_PUT], [NO_DELETE], [NO_PUT, NO_DELETE], []):
        talk.create(key=b"a", range_end=b"b", filters=chosen, prev_kv=True)
    talk.write(txn(put(b"a"), put(b"a1")))
    talk.write(txn(delete(b"a"), put(b"a1", b"2")))
    talk.write(txn(delete(b"a", b"b")))
    talk.create(filters=[NO_PUT], start_revision=talk.begun_at + 1, **ALL)
    talk.progress()


def identities(talk: Conversation) -> None:
    for watch_id in (1, 0, 0, 1, -5, -1, 0, 7, 7):
        talk.create(key=b"a", watch_id=watch_id)
    talk.write(txn(put(b"a")))
    for watch_id in (99, 1, 1, -5):
        talk.cancel(watch_id)
    talk.create(key=b"a", watch_id=1)
    talk.create(key=b"a")
    talk.write(txn(put(b"a")))
    talk.progress()


def ranges_that_are_empty_or_odd(talk: Conversation) -> None:
    for key, end in ((b"b", b"a"), (b"b", b"b"), (b"", b""), (b"", b"\0"), (b"a", b"\0")):
        talk.create(key=key, range_end=end)
    talk.write(txn(put(b"\0"), put(b"zz")))
    talk.create(key=b"b", range_end=b"a", start_revision=-1)
    talk.create(key=b"a", start_revision=-1)


def progress(talk: Conversation) -> None:
    talk.progress()
    talk.create(key=b"a")
    talk.progress()
    talk.write(txn(put(b"b")))
    talk.progress()
    talk.create(key=b"a", start_revision=talk.revision + 2)
    talk.progress()
    talk.write(txn(put(b"b")))
    talk.progress()
    talk.write(txn(put(b"a")))
    talk.progress()
    talk.cancel(0)
    talk.cancel(1)
    talk.progress()


def the_future(talk: Conversation) -> None:
    for ahead in (0, 1, 2, 4):
        talk.create(start_revision=talk.revision + ahead, prev_kv=True, **ALL)
    for value in (b"1", b"2", b"3", b"4", b"5"):
        talk.write(txn(put(b"a", value)))
    talk.progress()


def a_past_that_is_compacted(talk: Conversation) -> None:
    for value in (b"1", b"2", b"3", b"4"):
        talk.write(txn(put(b"a", value), put(b"b", value)))
    talk.write(txn(delete(b"a")))
    deleted = talk.revision
    talk.write(txn(put(b"b")))
    talk.compact(deleted)
    for start in (1, deleted - 1, deleted, deleted + 1, deleted + 5):
        talk.create(start_revision=start, prev_kv=True, **ALL)
    talk.progress()
    talk.write(txn(put(b"a")))
    for watch_id in talk.watchers.copy():
        talk.cancel(watch_id)
    talk.progress()
    talk.create(key=b"a", watch_id=1)
    talk.progress()


def one_key_written_twice_in_one_transaction(talk: Conversation) -> None:
    talk.create(prev_kv=True, **ALL)
    nested = pb.RequestOp(request_txn=txn(put(b"a", b"1")))
    talk.write(txn(nested, pb.RequestOp(request_txn=txn(delete(b"a")))))
    talk.write(txn(put(b"a", b"2")))
    talk.write(txn(nested, pb.RequestOp(request_txn=txn(delete(b"a")))))
    talk.create(prev_kv=True, start_revision=talk.begun_at + 1, **ALL)


def fragments_of_one_revision(talk: Conversation) -> None:
    keys = (b"a", b"a1", b"b", b"b1", b"c")
    for key in keys:
        talk.write(txn(put(key, LONG_VALUE)))
    talk.create(fragment=True, **ALL)
    talk.create(fragment=True, prev_kv=True, **ALL)
    talk.create(**ALL)
    talk.write(txn(*(put(key, b"", ignore_value=True) for key in keys)))
    talk.write(txn(*(put(key, b"short") for key in keys)))


SCRIPTS: dict[str, Script] = {
    script.__name__: script
    for script in (
        filters,
        identities,
        ranges_that_are_empty_or_odd,
        progress,
        the_future,
        a_past_that_is_compacted,
        one_key_written_twice_in_one_transaction,
        fragments_of_one_revision,
    )
}


class Talk:
    """A random conversation."""

    def __init__(self, seed: int, conversation: Conversation) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._conversation = conversation

    def goes_on(self, steps: int) -> None:
        """Say so many things."""
        says = (
            (6, self._create),
            (3, self._cancel),
            (3, self._conversation.progress),
            (10, self._write),
            (1, self._compact),
        )
        for _ in range(steps):
            ((_, say),) = self._random.choices(says, [weight for weight, _ in says])
            say()

    def _create(self) -> None:
        now, compacted = self._conversation.revision, self._conversation.pair.compacted
        near = (now, now + 1, now + 2, now - 2, now - 9, compacted, compacted - 1, 1, -1)
        self._conversation.create(
            key=self._random.choice(KEYS),
            range_end=self._random.choice(ENDS),
            start_revision=self._random.choice((0,) * 4 + near),
            prev_kv=self._random.random() < 0.5,
            fragment=self._random.random() < 0.2,
            filters=self._random.choice([[]] * 4 + [[NO_PUT], [NO_DELETE]]),
            watch_id=self._random.choice((0,) * 6 + (1, 2, 3, -2, 40)),
        )

    def _cancel(self) -> None:
        known = list(self._conversation.watchers)
        self._conversation.cancel(self._random.choice([*known, *known, *known, 50]))

    def _write(self) -> None:
        count = self._random.choice((1, 1, 1, 2, 3))
        operations = [self._operation(key) for key in self._random.sample(KEYS, count)]
        self._conversation.write(txn(*operations))

    def _operation(self, key: bytes) -> pb.RequestOp:
        if self._random.random() < 0.7:
            return put(key, self._random.choice((b"", b"1", b"2")))
        return delete(key)

    def _compact(self) -> None:
        now = self._conversation.revision
        self._conversation.compact(self._random.choice((now, now - 1, now - 3)))
