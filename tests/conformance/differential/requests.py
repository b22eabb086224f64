"""Random requests of every kind and option, errors included, from a seed.

Few keys, small values and revisions near the interesting ones: so that requests meet. Not more
than a dozen keys, because among equal sort keys etcd's order is the key order only for so many.
Left out are the requests that end a real etcd with a panic: a transaction that keeps a value or a
lease of a key that it also deletes, and one that writes keys beside a delete from a key on, once it
is compacted to (etcd's issue 22376). And those it answers wrongly: a stream of a range with a limit
and a sort target without an order, which counts from the last key in the target's order.
"""

from __future__ import annotations

import random  # noqa: TID251 - of a recorded seed
import re
from typing import TYPE_CHECKING, NamedTuple

from decube.pb.etcd import rpc_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.message import Message

KEYS = (b"a", b"b", b"c", b"d", b"ab", b"abc", b"b\x00", b"z", b"\x00", b"\xff")
ENDS = (b"", b"", b"", b"\0", b"b", b"c", b"ac", b"zz", b"a")
VALUES = (b"", b"1", b"2", b"x" * 30)
LEASES = (1, 2, 3, 4, -7)
LEASE_UNKNOWN = 99
NESTED_MAX = 2
DELETE_FROM_A_KEY = re.compile(r'request_delete_range \{[^}]*range_end: "\\000"')
COMPARED = ("version", "create_revision", "mod_revision", "value", "lease")


class Step(NamedTuple):
    """A call of a service, such as `KV.Range`."""

    call: str
    request: Message


class Known:
    """What the generator must know of the store to come near its edges."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 0


class Requests:
    """An endless sequence, the same for the same seed and the same answers."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self.known = Known()

    def step(self) -> Step:
        """Make the next one."""
        kinds = (
            (28, "KV.Range", self._range),
            (4, "KV.RangeStream", self._range_stream),
            (20, "KV.Put", self._put),
            (10, "KV.DeleteRange", self._delete),
            (26, "KV.Txn", self._harmless_txn),
            (2, "KV.Compact", self._compact),
            (3, "Lease.LeaseGrant", self._grant),
            (2, "Lease.LeaseRevoke", lambda: pb.LeaseRevokeRequest(ID=self._any_lease())),
            (1, "Lease.LeaseKeepAlive", lambda: pb.LeaseKeepAliveRequest(ID=self._any_lease())),
            (2, "Lease.LeaseTimeToLive", self._time_to_live),
            (1, "Lease.LeaseLeases", pb.LeaseLeasesRequest),
            (1, "Maintenance.Alarm", pb.AlarmRequest),
            (1, "Maintenance.HashKV", self._hash_kv),
            (1, "Maintenance.Defragment", pb.DefragmentRequest),
        )
        weights = [weight for weight, *_ in kinds]
        ((_, call, make),) = self._random.choices(kinds, weights)
        return Step(call, make())

    def watch(self) -> pb.WatchCreateRequest:
        """Make a watcher."""
        return pb.WatchCreateRequest(
            key=self._key(),
            range_end=self._random.choice(ENDS),
            start_revision=self._revision(),
            prev_kv=self._chance(0.5),
            filters=self._random.choice([[]] * 6 + [[0], [1], [0, 1]]),
        )

    def chance(self, probability: float) -> bool:
        """Decide something else."""
        return self._chance(probability)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _key(self) -> bytes:
        return self._random.choice(KEYS) if self._chance(0.97) else b""

    def _revision(self) -> int:
        now, compacted = self.known.revision, self.known.compacted
        near = (now, now - 1, now - 3, max(1, compacted), compacted - 1, now + 1, -1, -2, now // 2)
        return self._random.choice([0] * 8 + list(near))

    def _any_lease(self) -> int:
        return self._random.choice((*LEASES, LEASE_UNKNOWN))

    def _range(self) -> pb.RangeRequest:
        bound = lambda: self._random.choice([0] * 6 + [self._revision()])  # noqa: E731
        return pb.RangeRequest(
            key=self._key(),
            range_end=self._random.choice(ENDS),
            limit=self._random.choice([0, 0, 0, 1, 2, 3, -1]),
            revision=self._revision(),
            sort_order=self._enum([0, 0, 1, 2], 3),  # type: ignore[arg-type] # unknown ones as well
            sort_target=self._enum([0, 0, 0, 1, 2, 3, 4], 7),  # type: ignore[arg-type]
            serializable=self._chance(0.3),
            keys_only=self._chance(0.15),
            count_only=self._chance(0.1),
            min_mod_revision=bound(),
            max_mod_revision=bound(),
            min_create_revision=bound(),
            max_create_revision=bound(),
        )

    def _range_stream(self) -> pb.RangeRequest:
        """Make one that is mostly not refused."""
        request = self._range()
        if self._chance(0.9):
            request.sort_order = self._random.choice([0, 1])  # type: ignore[assignment]
            for bound in ("min_mod", "max_mod", "min_create", "max_create"):
                request.ClearField(f"{bound}_revision")  # type: ignore[arg-type]
        if request.limit or request.sort_order:
            request.ClearField("sort_target")
        return request

    def _enum(self, valid: list[int], unknown: int) -> int:
        return unknown if self._chance(0.02) else self._random.choice(valid)

    def _put(self) -> pb.PutRequest:
        keeps_value, keeps_lease = self._chance(0.08), self._chance(0.08)
        empty, detached = keeps_value and self._chance(0.8), keeps_lease and self._chance(0.8)
        return pb.PutRequest(
            key=self._key(),
            value=b"" if empty else self._random.choice(VALUES),
            lease=0 if detached or self._chance(0.5) else self._any_lease(),
            prev_kv=self._chance(0.3),
            ignore_value=keeps_value,
            ignore_lease=keeps_lease,
        )

    def _delete(self) -> pb.DeleteRangeRequest:
        return pb.DeleteRangeRequest(
            key=self._key(), range_end=self._random.choice(ENDS), prev_kv=self._chance(0.4)
        )

    def _harmless_txn(self) -> pb.TxnRequest:
        while True:
            txn = self._txn(NESTED_MAX)
            text = str(txn)
            keeps = "ignore_value" in text or "ignore_lease" in text
            if keeps and "request_delete_range" in text:
                continue
            if "request_put" in text and DELETE_FROM_A_KEY.search(text):
                continue
            return txn

    def _txn(self, nested: int) -> pb.TxnRequest:
        def operations(counts: list[int]) -> list[pb.RequestOp]:
            return [self._operation(nested) for _ in range(self._random.choice(counts))]

        return pb.TxnRequest(
            compare=[self._compare() for _ in range(self._random.choice([0, 0, 1, 1, 2]))],
            success=operations([0, 1, 1, 2, 3]),
            failure=operations([0, 0, 1, 2]),
        )

    def _operation(self, nested: int) -> pb.RequestOp:
        kind = self._random.random()
        if kind < 0.4:
            return pb.RequestOp(request_put=self._put())
        if kind < 0.7:
            return pb.RequestOp(request_range=self._range())
        if kind < 0.85:
            return pb.RequestOp(request_delete_range=self._delete())
        if kind < 0.99 and nested:
            return pb.RequestOp(request_txn=self._txn(nested - 1))
        return pb.RequestOp()

    def _compare(self) -> pb.Compare:
        target = self._random.randrange(len(COMPARED))
        compare = pb.Compare(
            key=self._key(),
            range_end=self._random.choice([b""] * 5 + [self._random.choice(ENDS)]),
            result=self._enum([0, 1, 2, 3], 9),  # type: ignore[arg-type]
            target=target if self._chance(0.98) else 9,  # type: ignore[arg-type]
        )
        # Mostly what the target says; clients may also send another field, or none.
        named = COMPARED[target] if self._chance(0.9) else self._random.choice((*COMPARED, ""))
        if named == "value":
            compare.value = self._random.choice(VALUES[:3])
        elif named:
            setattr(compare, named, self._random.choice([0, 0, 1, 2, self.known.revision]))
        return compare

    def _compact(self) -> pb.CompactionRequest:
        now, compacted = self.known.revision, self.known.compacted
        revision = self._random.choice([now - 2, now - 10, now, compacted, now + 1, 0])
        # Physical, because how far a compaction got is told by HashKV of the past.
        return pb.CompactionRequest(revision=revision, physical=True)

    def _grant(self) -> pb.LeaseGrantRequest:
        ttl_s = self._random.choice([600, 1_000, 3_600, 9_000_000_000, 9_000_000_001])
        return pb.LeaseGrantRequest(ID=self._random.choice(LEASES), TTL=ttl_s)

    def _time_to_live(self) -> pb.LeaseTimeToLiveRequest:
        return pb.LeaseTimeToLiveRequest(ID=self._any_lease(), keys=self._chance(0.7))

    def _hash_kv(self) -> pb.HashKVRequest:
        now, compacted = self.known.revision, self.known.compacted
        return pb.HashKVRequest(
            revision=self._random.choice([0, 0, now, now - 1, compacted, now + 1])
        )
