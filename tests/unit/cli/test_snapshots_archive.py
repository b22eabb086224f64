"""Archives of snapshots, from a node that takes its time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from decube.cli.options import Node
from decube.cli.snapshots_archive import download
from decube.kit.durations import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SNAPSHOT = "snap-20260131T120000000Z-1f2e3d4c"
TIMEOUT_S = 0.1


@contextmanager
def slow_node() -> Iterator[str]:
    """Answer after more than the timeout; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            threading.Event().wait(3 * TIMEOUT_S)
            body = b"{}" if self.path.endswith("/status") else b"an archive"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_download_waits_for_a_slow_location_from_its_first_question_on(tmp_path: Path) -> None:
    target = tmp_path / "archive.tar"
    with slow_node() as address:
        node = Node(address=address, timeout=Duration.of_seconds(TIMEOUT_S))
        download(SNAPSHOT, target, node=node)
    assert target.read_bytes() == b"an archive"
