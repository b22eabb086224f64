"""A watch over several streams: resumed, anew after a compaction, never repeating itself."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from decube.cli.pods_watch import Following
from decube.cli.rest_client import RestClient
from decube.kit.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

Line = dict[str, Any]


def pod(name: str, version: int, uid: str = "") -> Line:
    return {
        "name": name,
        "namespace": "default",
        "resource_version": str(version),
        "uid": uid or name,
    }


def change(kind: str, name: str, version: int, uid: str = "") -> Line:
    return {"type": kind, "resource_version": str(version), "pod": pod(name, version, uid)}


def bookmark(version: int) -> Line:
    return {"type": "BOOKMARK", "resource_version": str(version)}


def compacted() -> Line:
    details = {"compact_revision": 8}
    error = {"code": "compacted", "message": "the history is gone", "details": details}
    return {"type": "ERROR", "error": error}


@contextmanager
def serving(*streams: list[Line]) -> Iterator[tuple[RestClient, list[dict[str, str]]]]:
    """Answer one request after the other with a stream; yields a client and the queries asked."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append({name: values[0] for name, values in query.items()})
            self.send_response(200)
            self.end_headers()
            for line in streams[len(asked) - 1] if len(asked) <= len(streams) else []:
                self.wfile.write(json.dumps(line).encode() + b"\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield RestClient(f"127.0.0.1:{server.server_port}", 10), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def seen(client: RestClient, count: int, *, only_changes: bool = False) -> list[tuple[str, str]]:
    changes = Following(client, {}).changes(only_changes=only_changes)
    return [(kind, one["name"]) for kind, one in (next(changes) for _ in range(count))]


def test_a_stream_that_ended_is_resumed_where_it_stopped() -> None:
    first = [change("ADDED", "a", 3), bookmark(5), change("ADDED", "b", 6)]
    second = [change("MODIFIED", "b", 7)]
    with serving(first, second) as (client, asked):
        assert seen(client, 3) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "b")]
    assert [query.get("resource_version") for query in asked[:2]] == [None, "6"]


def test_after_a_compaction_only_the_difference_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    first = [change("ADDED", "gone", 3), change("ADDED", "same", 4), bookmark(5)]
    first += [change("ADDED", "changed", 6), change("ADDED", "remade", 7), compacted()]
    second = [
        change("ADDED", "same", 4),
        change("ADDED", "changed", 9),
        change("ADDED", "remade", 10, uid="other"),
        change("ADDED", "new", 11),
        bookmark(12),
    ]
    third = [change("MODIFIED", "new", 13)]
    with serving(first, second, third) as (client, asked):
        assert seen(client, 10) == [
            ("ADDED", "gone"),
            ("ADDED", "same"),
            ("ADDED", "changed"),
            ("ADDED", "remade"),
            ("MODIFIED", "changed"),
            ("DELETED", "remade"),
            ("ADDED", "remade"),
            ("ADDED", "new"),
            ("DELETED", "gone"),
            ("MODIFIED", "new"),
        ]
    assert [query.get("resource_version") for query in asked[:3]] == [None, None, "12"]
    assert "comparing with the present pods" in capsys.readouterr().err


def test_a_stream_that_broke_before_its_bookmark_starts_anew() -> None:
    first = [change("ADDED", "a", 3)]
    second = [change("ADDED", "a", 3), change("ADDED", "b", 4), bookmark(5)]
    with serving(first, second) as (client, asked):
        assert seen(client, 2) == [("ADDED", "a"), ("ADDED", "b")]
    assert "resource_version" not in asked[1]


def test_what_is_there_at_the_start_may_be_left_out() -> None:
    with serving([change("ADDED", "a", 3), bookmark(5), change("ADDED", "b", 6)]) as (client, _):
        assert seen(client, 1, only_changes=True) == [("ADDED", "b")]


def test_errors_of_the_server_become_their_kinds() -> None:
    error = {"code": "conflict", "message": "it changed", "details": {"resource_version": "7"}}
    with serving([{"error": error}]) as (client, _), pytest.raises(Conflict) as caught:
        client.call("GET", "/x")
    assert caught.value.message == "it changed"
    assert caught.value.details == {"resource_version": "7"}


def test_an_answer_that_is_not_json_is_told() -> None:
    with serving([]) as (client, _), pytest.raises(Unavailable, match="not JSON"):
        client.call("GET", "/x")


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(Unavailable, match=r"cannot reach http://127.0.0.1:1: connection refused"):
        RestClient("127.0.0.1:1", 1).call("GET", "/x")
