"""The two servers that are asked the same, and what of their answers must be equal.

Aside are only: identities of cluster and member, raft's term and index, sizes, the rest of a
lease's time, and the order in which etcd lists the keys of a lease and the leases.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import grpc

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub, LeaseStub, MaintenanceStub, WatchStub

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from google.protobuf.message import Message
    from tests.conformance.differential.requests import Step

CALL_SECONDS_MAX = 30.0
ASK_AGAIN_SECONDS = 0.02
_MASKED = {"cluster_id", "member_id", "raft_term"}

Answer = str
"""A response or a refusal, as text without what may differ."""


class Side:
    """One server."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._stubs: dict[str, Any] = {
            "KV": KVStub(self._channel),
            "Lease": LeaseStub(self._channel),
            "Maintenance": MaintenanceStub(self._channel),
        }
        self._watch = WatchStub(self._channel)
        self.watchers: list[Watcher] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for watcher in self.watchers:
            watcher.end()
        self._channel.close()

    def does(self, step: Step) -> tuple[Answer, Message | None]:
        """Do a step; the answer, and the response if it was one."""
        service, _, method = step.call.partition(".")
        if method == "Compact":
            for watcher in self.watchers:
                watcher.catch_up()
        call = getattr(self._stubs[service], method)
        try:
            if method == "LeaseKeepAlive":
                response = next(iter(call(iter([step.request]), timeout=CALL_SECONDS_MAX)))
            elif method == "RangeStream":
                chunks = list(call(step.request, timeout=CALL_SECONDS_MAX))
                return "\n".join(shown(chunk) for chunk in chunks), chunks[-1].range_response
            else:
                response = call(step.request, timeout=CALL_SECONDS_MAX)
        except grpc.RpcError as error:
            return f"{error.code()}: {error.details()}", None  # type: ignore[attr-defined]
        return shown(response), response

    def watches(self, create: pb.WatchCreateRequest) -> None:
        """Open a watcher, on a stream of its own, and wait for its first response."""
        self.watchers.append(Watcher(self._watch, create))

    def revision(self) -> int:
        """Tell the present revision."""
        response = self._stubs["KV"].Range(pb.RangeRequest(key=b"k"), timeout=CALL_SECONDS_MAX)
        return int(response.header.revision)


class Watcher:
    """A watch stream of one watcher, collected by a thread."""

    def __init__(self, stub: WatchStub, create: pb.WatchCreateRequest) -> None:
        self._create = create
        self._requests: queue.SimpleQueue[pb.WatchRequest | None] = queue.SimpleQueue()
        self._requests.put(pb.WatchRequest(create_request=create))
        self._responses: list[pb.WatchResponse] = []
        self._arrived = threading.Condition()
        self._call = stub.Watch(iter(self._requests.get, None))
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        self._wait(lambda: bool(self._responses))
        self._is_behind = True

    def catch_up(self) -> None:
        """Wait for what was there when it began.

        A compaction before that would end it at a moment that depends on the server. (A real etcd
        looks ten times a second for those who are behind: the next steps need not wait for it.)
        """
        if self._is_behind:
            self.history(self._responses[0].header.revision)
            self._is_behind = False

    def history(self, revision: int) -> list[str]:
        """Return all that was told up to a revision, once that much was: ask for progress.

        Of the future nothing is told, not even progress.
        """
        silent = self._create.start_revision > revision
        if not silent and not any(response.canceled for response in self._responses):
            self._wait(lambda: self._told(revision), asking=pb.WatchProgressRequest())
        told = [shown(r) for r in self._responses if r.created or r.canceled]
        return told + [shown(event) for response in self._responses for event in response.events]

    def end(self) -> None:
        """Close the stream."""
        self._requests.put(None)
        self._call.cancel()
        self._thread.join(CALL_SECONDS_MAX)

    def _told(self, revision: int) -> bool:
        return any(
            response.canceled or (response.watch_id == -1 and response.header.revision >= revision)
            for response in self._responses
        )

    def _collect(self) -> None:
        try:
            for response in self._call:
                with self._arrived:
                    self._responses.append(response)
                    self._arrived.notify_all()
        except grpc.RpcError:
            pass

    def _wait(
        self, condition: Callable[[], bool], asking: pb.WatchProgressRequest | None = None
    ) -> None:
        """Wait; a server whose watcher is behind forgets that it was asked, so ask again."""
        with self._arrived:
            for _ in range(round(CALL_SECONDS_MAX / ASK_AGAIN_SECONDS)):
                if asking is not None:
                    self._requests.put(pb.WatchRequest(progress_request=asking))
                if self._arrived.wait_for(condition, ASK_AGAIN_SECONDS):
                    return
            raise AssertionError(f"{self._create} is silent after {self._responses}")


def shown(message: Message) -> Answer:
    """Write a message without what may differ."""
    masked = type(message)()
    masked.CopyFrom(message)
    _mask(masked)
    return f"{masked.DESCRIPTOR.name} {str(masked).replace(chr(10), ' ')}"


def _mask(message: Any) -> None:  # noqa: ANN401 - any message
    for field, value in message.ListFields():
        if field.name in _MASKED:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                _mask(inner)
    if isinstance(message, pb.LeaseTimeToLiveResponse):
        message.TTL = min(message.TTL, 1)
        message.keys.sort()
    elif isinstance(message, pb.LeaseLeasesResponse):
        message.leases.sort(key=lambda lease: lease.ID)
