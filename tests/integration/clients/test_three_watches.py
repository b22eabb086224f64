"""A pod's life is seen alike by REST, by `decube pods watch` and by etcdctl."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from typing import IO, TYPE_CHECKING

import httpx2
from tests.support.node import DECUBE
from tests.support.peers import etcdctl_of
from tests.support.waiting import WAIT_S_MAX

if TYPE_CHECKING:
    from tests.support.node import NodeProcess


class Lines:
    """The output of a program that goes on, line by line, with a bound on the wait."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NO_COLOR": "1", **(environment or {})},
        )
        self.lines: list[str] = []
        self.arrived = threading.Condition()
        assert self.process.stdout is not None
        self.reader = threading.Thread(target=self.read, args=(self.process.stdout,))
        self.reader.start()

    def read(self, stream: IO[str]) -> None:
        for line in stream:
            with self.arrived:
                self.lines.append(line.rstrip("\n"))
                self.arrived.notify_all()

    def wait_for(self, *parts: str) -> None:
        """Wait until each of the parts was in some line, in this order."""

        def seen() -> bool:
            remaining = iter(self.lines)
            return all(any(part in line for line in remaining) for part in parts)

        with self.arrived:
            assert self.arrived.wait_for(seen, WAIT_S_MAX), (parts, self.lines)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_rest_cli_and_etcdctl_see_the_same_create_update_delete(node: NodeProcess) -> None:
    node.ensure_started()
    base = f"http://{node.rest_address}"
    watches = {
        "rest": Lines(["curl", "-sN", f"{base}/api/v1/pods?watch=true&namespace=*"]),
        "cli": Lines([str(DECUBE), "pods", "watch", "-A", "-o", "json"], {"DECUBE_ADDRESS": base}),
        "etcdctl": Lines(
            [
                etcdctl_of("3.7.1"),
                f"--endpoints={node.etcd_address}",
                *("watch", "--prefix", "/decube/pods/", "-w", "json"),
            ]
        ),
    }
    try:
        with httpx2.Client(base_url=base) as client:
            settle(client, watches)
            live(client)
        watches["rest"].wait_for('"web"', '"busy"', "DELETED")
        watches["cli"].wait_for('"web"', '"busy"', "DELETED")
        watches["etcdctl"].wait_for('"create_revision"', '"type":1')
    finally:
        for lines in watches.values():
            lines.end()


def settle(client: httpx2.Client, watches: dict[str, Lines]) -> None:
    """Create pods until every watch has shown one: only then do all of them listen."""
    for name, lines in watches.items():
        for attempt in range(200):
            body = {"name": f"probe-{name}-{attempt}"}
            assert client.post("/api/v1/pods", json=body).status_code == 201
            with lines.arrived:
                if lines.lines or lines.arrived.wait(0.1):
                    break


def live(client: httpx2.Client) -> None:
    """Create, update and delete a pod."""
    assert client.post("/api/v1/pods", json={"name": "web"}).status_code == 201
    assert client.put("/api/v1/pods/web", json={"status": "busy"}).status_code == 200
    deleted = client.delete("/api/v1/pods/web")
    assert json.loads(deleted.content) == {"deleted": True}
