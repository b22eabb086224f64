"""A client of one server, for scenarios that look at every revision."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, Self

import grpc

from decube.pb.etcd import kv_pb2
from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub, LeaseStub, MaintenanceStub, WatchStub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALL_SECONDS_MAX = 30.0
ALL = {"key": b"\0", "range_end": b"\0"}


class Client:
    """Calls that must succeed, unless it says otherwise."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self.kv = KVStub(self._channel)
        self.lease = LeaseStub(self._channel)
        self.maintenance = MaintenanceStub(self._channel)
        self._watch = WatchStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def put(self, key: str, value: str = "") -> int:
        request = pb.PutRequest(key=key.encode(), value=value.encode())
        return int(self.kv.Put(request, timeout=CALL_SECONDS_MAX).header.revision)

    def delete(self, key: str) -> int:
        request = pb.DeleteRangeRequest(key=key.encode())
        return int(self.kv.DeleteRange(request, timeout=CALL_SECONDS_MAX).header.revision)

    def compact(self, revision: int, *, physical: bool = True) -> None:
        request = pb.CompactionRequest(revision=revision, physical=physical)
        self.kv.Compact(request, timeout=CALL_SECONDS_MAX)

    def everything(self, revision: int = 0) -> pb.RangeResponse:
        request = pb.RangeRequest(revision=revision, **ALL)
        response: pb.RangeResponse = self.kv.Range(request, timeout=CALL_SECONDS_MAX)
        return response

    def watch(self, **fields: Any) -> Watch:  # noqa: ANN401 - the fields of a create request
        return Watch(self._watch, pb.WatchCreateRequest(**fields))

    def history(self, since: int) -> list[kv_pb2.Event]:
        """Tell all events from a revision to the present one, as a watch does."""
        through = self.everything().header.revision
        with self.watch(start_revision=since, **ALL) as watch:
            return watch.events_through(through)


class Watch:
    """A stream of one watcher; its responses are taken one by one."""

    def __init__(self, stub: WatchStub, create: pb.WatchCreateRequest) -> None:
        self._requests: queue.SimpleQueue[pb.WatchRequest | None] = queue.SimpleQueue()
        self._requests.put(pb.WatchRequest(create_request=create))
        self._call = stub.Watch(iter(self._requests.get, None), timeout=2 * CALL_SECONDS_MAX)
        self.created: pb.WatchResponse = next(self._call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.put(None)
        self._call.cancel()

    def responses(self) -> Iterator[pb.WatchResponse]:
        """Take what comes, for as long as the stream lasts."""
        return iter(self._call)

    def ask_for_progress(self) -> None:
        self._requests.put(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))

    def events_through(self, revision: int) -> list[kv_pb2.Event]:
        """Take events until one of this revision, or progress to it, has come."""
        events: list[kv_pb2.Event] = []
        self.ask_for_progress()
        for response in self.responses():
            assert not response.canceled, response
            events += response.events
            if response.header.revision >= revision:
                return events
        raise AssertionError(f"the stream ended before revision {revision}")


class Beside:
    """Something that is done again and again while a test does something else.

    A call of it that fails fails the test, unless it is a call to a server that the test kills.
    """

    def __init__(self, act: Callable[[], object], *, until_killed: bool = False) -> None:
        self._act = act
        self._until_killed = until_killed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._times = 0
        self._failure: Exception | None = None

    @property
    def times(self) -> int:
        """How often it was done; raises what it failed with."""
        if self._failure is not None:
            raise self._failure
        return self._times

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(CALL_SECONDS_MAX)
        assert not self._thread.is_alive(), f"a call beside the test took {CALL_SECONDS_MAX:g} s"
        # Also over a failure of the test's own, which is mostly a consequence.
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._act()
                self._times += 1
        except Exception as error:  # noqa: BLE001 - handed to the test
            if not (self._until_killed and _is_unavailable(error)):
                self._failure = error


def _is_unavailable(error: Exception) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
