"""One watch stream at each of two servers, kept in step: what is said to one is said to the other.

Between two steps both must have told what they owe, which is counted here from the writes, so that
no answer depends on the moment. Then all that was told must be equal: not in the order among
watchers, which etcd does not promise, but watcher by watcher, to the letter.
"""

from __future__ import annotations

import queue
import threading
import time
import urllib.request
import zlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import grpc
from tests.conformance.differential.sides import shown

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub, WatchStub

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from decube.pb.etcd import kv_pb2

SETTLED_SECONDS_MAX = 30.0
CALL_SECONDS_MAX = 30.0
_MESSAGE_BYTES_MAX = 64 << 20
_SHOWN_MAX = 2_000

Told = dict[int, list[str]]
"""What was told, by watch id."""


class DifferenceError(AssertionError):
    """The two were told to do the same, and told different things."""


class Stream:
    """A server, and one watch stream of it that is collected by a thread."""

    def __init__(self, address: str) -> None:
        options = [("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX)]
        self._channel = grpc.insecure_channel(address, options)
        self.kv = KVStub(self._channel)
        self.arrived = threading.Condition()
        self.responses: list[pb.WatchResponse] = []
        self._requests: queue.SimpleQueue[pb.WatchRequest | None] = queue.SimpleQueue()
        self._call = WatchStub(self._channel).Watch(iter(self._requests.get, None))
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def asks(self, request: pb.WatchRequest) -> None:
        """Send one request."""
        self._requests.put(request)

    def waits_until(self, holds: Callable[[], bool], seconds_max: float) -> bool:
        """Wait for responses that make something hold; false when they did not come."""
        with self.arrived:
            return self.arrived.wait_for(holds, seconds_max)

    def end(self) -> None:
        """Close the stream."""
        self._requests.put(None)
        self._call.cancel()
        self._thread.join(CALL_SECONDS_MAX)
        self._channel.close()

    def _collect(self) -> None:
        try:
            for response in self._call:
                with self.arrived:
                    self.responses.append(response)
                    self.arrived.notify_all()
        except grpc.RpcError:
            pass


class Watcher(NamedTuple):
    """What a watcher that was asked for is to be told."""

    request: pb.WatchCreateRequest
    start: int
    is_compacted: bool

    def wants(self, event: kv_pb2.Event) -> bool:
        """Whether it is to be told of an event."""
        key, end = self.request.key or b"\0", self.request.range_end
        within = event.kv.key == key if not end else event.kv.key >= key
        below = end in (b"", b"\0") or event.kv.key < end
        filtered = event.type in self.request.filters
        wanted = within and below and not filtered
        return wanted and not self.is_compacted and event.kv.mod_revision >= self.start


class Pair:
    """Two servers that were told to write the same, and what that was.

    They are used for one conversation after the other.
    """

    def __init__(self, ours: str, real: str) -> None:
        self.ours = ours
        self.real = real
        self.compacted = 0
        self.events: list[kv_pb2.Event] = []

    def wait_until_caught_up(self) -> None:
        """Wait until etcd has looked through history for all its watchers.

        It does so ten times a second. Before, it forgets requests for progress, and a compaction
        ends a watcher even if nothing of what is compacted was for it.
        """
        deadline = time.monotonic() + SETTLED_SECONDS_MAX
        while time.monotonic() < deadline:
            with urllib.request.urlopen(f"http://{self.real}/metrics") as answer:
                if b"etcd_debugging_mvcc_slow_watcher_total 0\n" in answer.read():
                    return
        raise DifferenceError("etcd has watchers that are behind")


class Conversation:
    """The two streams, and what is owed to their watchers."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.streams = (Stream(pair.ours), Stream(pair.real))
        self._oracle = Stream(pair.real)
        self._oracle.asks(create(key=b"\0", range_end=b"\0"))
        self._wait(self._oracle, lambda: bool(self._oracle.responses))
        self.begun_at = self.revision = self._oracle.responses[0].header.revision
        self.watchers: dict[int, Watcher] = {}
        self._said: list[str] = []
        self._owed: Counter[int] = Counter()
        self._controls_owed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (*self.streams, self._oracle):
            stream.end()

    def create(self, **fields: Any) -> None:  # noqa: ANN401 - the fields of a create request
        """Make a watcher; one that wants what is compacted is told so."""
        request = create(**fields)
        self._say(request)
        self._controls_owed += 1
        self._settle()
        made = [r for r in self.streams[1].responses if r.created][-1]
        if not made.canceled:
            self._expect(made, request.create_request)
        self._settle()
        self.pair.wait_until_caught_up()
        self._compare()

    def cancel(self, watch_id: int) -> None:
        """Cancel a watcher; of an unknown one nothing is told."""
        self._say(pb.WatchRequest(cancel_request=pb.WatchCancelRequest(watch_id=watch_id)))
        if self.watchers.pop(watch_id, None) is None:
            self._say_what_is_answered()
        else:
            self._controls_owed += 1
        self._compare()

    def progress(self) -> None:
        """Ask for progress; there is an answer if each of the watchers is where the store is."""
        self._say(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))
        watchers = self.watchers.values()
        ahead = any(w.is_compacted or w.request.start_revision > self.revision for w in watchers)
        if watchers and not ahead:
            self._controls_owed += 1
        else:
            self._say_what_is_answered()
        self._compare()

    def _say_what_is_answered(self) -> None:
        """Follow up what is not, so that both have taken notice of that before they go on."""
        self._say(create(key=b"b", range_end=b"a"))
        self._controls_owed += 1

    def write(self, txn: pb.TxnRequest) -> None:
        """Write; the watchers that it concerns are to be told."""
        self._said.append(_short(txn))
        before = self.revision
        for stream in self.streams:
            response = stream.kv.Txn(txn, timeout=CALL_SECONDS_MAX)
            self.revision = response.header.revision
        for event in self._happened(before):
            self.pair.events.append(event)
            for watch_id, watcher in self.watchers.items():
                self._owed[watch_id] += watcher.wants(event)
        self._compare()

    def compact(self, revision: int) -> None:
        """Compact, at a revision where that can be."""
        if not self.pair.compacted < revision <= self.revision:
            return
        self._said.append(f"compact {revision}")
        for stream in self.streams:
            request = pb.CompactionRequest(revision=revision, physical=True)
            stream.kv.Compact(request, timeout=CALL_SECONDS_MAX)
        self.pair.compacted = revision

    def _expect(self, made: pb.WatchResponse, request: pb.WatchCreateRequest) -> None:
        start = request.start_revision or made.header.revision + 1
        watcher = Watcher(request, start, is_compacted=start < self.pair.compacted)
        self.watchers[made.watch_id] = watcher
        self._controls_owed += watcher.is_compacted
        self._owed[made.watch_id] += sum(map(watcher.wants, self.pair.events))

    def _happened(self, since: int) -> list[kv_pb2.Event]:
        """Tell what was written since, as a watcher of everything hears it."""
        told = self._oracle.responses
        self._wait(
            self._oracle,
            lambda: told[-1].header.revision >= self.revision or since == self.revision,
        )
        events = [event for response in told for event in response.events]
        return [event for event in events if event.kv.mod_revision > since]

    def _say(self, request: pb.WatchRequest) -> None:
        self._said.append(_short(request))
        for stream in self.streams:
            stream.asks(request)

    def _settle(self) -> None:
        for stream in self.streams:
            self._wait(stream, lambda stream=stream: self._has_told_all(stream))  # type: ignore[misc]

    def _has_told_all(self, stream: Stream) -> bool:
        events: Counter[int] = Counter()
        controls = 0
        for response in stream.responses:
            events[response.watch_id] += len(response.events)
            controls += not response.events
        return controls >= self._controls_owed and events >= self._owed

    def _compare(self) -> None:
        self._settle()
        ours, real = (_told(stream.responses) for stream in self.streams)
        if ours != real:
            raise DifferenceError(self._story(ours, real))

    def _wait(self, stream: Stream, holds: Callable[[], bool]) -> None:
        if not stream.waits_until(holds, SETTLED_SECONDS_MAX):
            ours, real = (_told(stream.responses) for stream in self.streams)
            raise DifferenceError("something was not told:\n" + self._story(ours, real))

    def _story(self, ours: Told, real: Told) -> str:
        lines = [f"said: {said}" for said in self._said]
        for watch_id in sorted({*ours, *real}):
            one, other = ours.get(watch_id, []), real.get(watch_id, [])
            if one != other:
                lines += [f"watcher {watch_id}, ours: {told}" for told in one]
                lines += [f"watcher {watch_id}, etcd: {told}" for told in other]
        return "\n".join(lines)


def create(**fields: Any) -> pb.WatchRequest:  # noqa: ANN401 - the fields of one
    """Ask for a watcher."""
    return pb.WatchRequest(create_request=pb.WatchCreateRequest(**fields))


def _told(responses: list[pb.WatchResponse]) -> Told:
    told = defaultdict(list)
    for response in responses:
        told[response.watch_id].append(_cut(shown(response)))
    return told


def _short(message: Message) -> str:
    return _cut(f"{message.DESCRIPTOR.name} {message}".replace("\n", " "))


def _cut(text: str) -> str:
    if len(text) <= _SHOWN_MAX:
        return text
    return f"{text[:_SHOWN_MAX]}... ({len(text)} in all, {zlib.crc32(text.encode())})"
