"""Starting, telling it, stopping: with requests under way, by two signals, by `kill -9`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.support.cli import Cli
from tests.support.node import DECUBE, NodeProcess
from tests.support.waiting import WAIT_S_MAX, wait_until

if TYPE_CHECKING:
    from pathlib import Path

MEMORY_BYTES_MAX = 120 << 20


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    with open(f"/proc/{pid}/statm") as figures:  # noqa: PTH123 - a file of the kernel
        return int(figures.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def log_events(node: NodeProcess) -> list[dict[str, Any]]:
    """Return what the node logged."""
    return [json.loads(line) for line in node.log.read_text().splitlines()]


def test_port_0_is_told_in_the_node_file_and_in_the_log(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path)
    node.environment = {
        "DECUBE_NODE_DATA_DIR": str(tmp_path / "data"),
        "DECUBE_NODE_LISTEN_ADDRESS": "127.0.0.1:0",
        "DECUBE_API_REST_ADDRESS": "127.0.0.1:0",
        "DECUBE_API_GRPC_ADDRESS": "127.0.0.1:0",
    }
    file = tmp_path / "data" / "node.json"
    try:
        node.start()
        wait_until(file.exists, "node.json was written")
        told = json.loads(file.read_text())
        assert told["pid"] == node.pid
        for name in ("rest_address", "grpc_address", "etcd_address"):
            host, _, port = told[name].rpartition(":")
            assert (host, int(port) > 0) == ("127.0.0.1", True)
        info = httpx2.get(f"http://{told['rest_address']}/node/info").json()
        assert info["etcd_address"] == told["etcd_address"]
        assert info["grpc_address"] == told["grpc_address"]
        wait_until(lambda: "ready" in node.said(), "the log told that it is ready")
        (ready,) = [event for event in log_events(node) if event["event"] == "ready"]
        assert ready["rest"] == told["rest_address"]
        assert ready["data_dir"] == str(tmp_path / "data")
        assert node.stop() == 0
        assert not file.exists()
    finally:
        node.kill()


def test_python_and_rust_log_by_one_schema(node: NodeProcess) -> None:
    node.ensure_started()
    assert node.stop() == 0
    events = log_events(node)
    for event in events:
        assert list(event)[:4] == ["timestamp", "level", "logger", "event"], event
    assert {event["logger"].partition(".")[0] for event in events} >= {"decube", "decube_etcd_api"}
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)


def test_sigterm_drains_and_exits_0(node: NodeProcess) -> None:
    node.ensure_started()
    base = f"http://{node.rest_address}"
    lines: list[str] = []
    opened = threading.Event()

    def follow() -> None:
        with (
            httpx2.Client(timeout=60) as client,
            client.stream("GET", f"{base}/api/v1/pods?watch=true") as answer,
        ):
            for line in answer.iter_lines():
                lines.append(line)
                opened.set()

    watch = threading.Thread(target=follow)
    watch.start()
    assert opened.wait(WAIT_S_MAX)
    # A request of which the server has only half, when it is told to stop.
    host, port = node.rest_address.split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S_MAX) as half:
        body = b'{"name":"half"}'
        half.sendall(
            b"POST /api/v1/pods HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:5]
        )
        # Answered after the half request was read, since both go through the one event loop.
        assert httpx2.get(f"{base}/health").status_code == 200
        process = node.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        watch.join(WAIT_S_MAX)
        assert not watch.is_alive(), "the watch was ended by the drain"
        half.sendall(body[5:])
        assert b"201 Created" in half.recv(4096)
    assert process.wait(timeout=WAIT_S_MAX) == 0
    node.process = None
    node.ensure_started()
    assert httpx2.get(f"{base}/api/v1/pods/half").status_code == 200


def test_open_watches_of_etcd_clients_do_not_hold_it_up(node: NodeProcess) -> None:
    # The drain would take that long if the watch had to end by itself.
    node.environment = {**node.environment, "DECUBE_NODE_SHUTDOWN_TIMEOUT": "1h"}
    node.ensure_started()
    etcd = Cli({"DECUBE_ENDPOINTS": node.etcd_address})
    put = json.loads(etcd("kv", "put", "a", "1", "-o", "json").stdout)
    with etcd.start("kv", "watch", "a", "--rev", str(put["revision"])) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "PUT\n", "the watch is open"
        assert node.stop() == 0


def test_a_second_signal_ends_it_at_once(node: NodeProcess) -> None:
    node.environment = {**node.environment, "DECUBE_NODE_SHUTDOWN_TIMEOUT": "1h"}
    node.ensure_started()
    host, port = node.rest_address.split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /api/v1/pods HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
        assert httpx2.get(f"http://{node.rest_address}/health").status_code == 200
        process = node.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(node.rest_address), "the listener closed")
        assert process.poll() is None, "it waits for the request under way"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=WAIT_S_MAX) == 128 + signal.SIGTERM


def refuses(address: str) -> bool:
    """Tell whether nobody listens there any more."""
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return True
    return False


def test_a_signal_while_it_starts_ends_it_with_0(tmp_path: Path) -> None:
    cli = Cli({"DECUBE_NODE_DATA_DIR": str(tmp_path), "DECUBE_STORE_CONNECT_TIMEOUT": "1h"})
    with cli.start("up", "--endpoints", "127.0.0.1:1") as node:
        wait_until(lambda: lock_pid(tmp_path) == node.pid, "it locked its directory")
        wait_until(lambda: handles(node.pid, signal.SIGTERM), "it handles signals")
        node.send_signal(signal.SIGTERM)
        assert node.wait(timeout=WAIT_S_MAX) == 0


def lock_pid(data: Path) -> int:
    """Return the pid in the lock file, 0 before there is one."""
    lock = data / "decube.lock"
    return int(lock.read_text() or 0) if lock.exists() else 0


def handles(pid: int, number: int) -> bool:
    """Tell whether a process has a handler for a signal."""
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 - a file of the kernel
        (mask,) = [line.split()[1] for line in status if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_after_kill_9_everything_is_there_and_the_stale_facts_do_not_matter(
    node: NodeProcess,
) -> None:
    node.ensure_started()
    base = f"http://{node.rest_address}"
    assert httpx2.post(f"{base}/api/v1/pods", json={"name": "kept"}).status_code == 201
    first = node.pid
    node.kill()
    file = node.directory / "data" / "node.json"
    assert json.loads(file.read_text())["pid"] == first, "it stays, and its pid tells"
    node.ensure_started()
    assert httpx2.get(f"{base}/api/v1/pods/kept").status_code == 200
    wait_until(lambda: json.loads(file.read_text())["pid"] == node.pid, "the facts are new")
    assert node.stop() == 0


def test_the_service_manager_is_told(node: NodeProcess, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WAIT_S_MAX)
        node.environment = {**node.environment, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        node.ensure_started()
        assert manager.recv(256).decode() == f"READY=1\nMAINPID={node.pid}"
        assert node.stop() == 0
        assert manager.recv(256) == b"STOPPING=1"


def test_an_idle_node_takes_little_memory(node: NodeProcess) -> None:
    node.ensure_started()
    assert httpx2.get(f"http://{node.rest_address}/api/v1/pods").status_code == 200
    assert resident_bytes(node.pid) < MEMORY_BYTES_MAX


def test_the_originals_file_starts_a_node_and_one_warning_names_what_has_no_effect(
    node: NodeProcess,
) -> None:
    file = DECUBE.parents[2] / "config" / "config.yaml"
    data = str(node.directory / "data")
    node.command = [str(DECUBE), f"--config={file}"]
    # The places and ports of the test; all else is the file's.
    node.environment = {
        **node.environment,
        "DECUBE_ETCD_DATA_DIR": f"{data}/etcd",
        "DECUBE_ETCD_WAL_DIR": f"{data}/etcd/wal",
    }
    node.ensure_started()
    wait_until(lambda: "ready" in node.said(), "it told that it is ready")
    warnings = [event for event in log_events(node) if event["level"] == "warning"]
    (idle,) = [event for event in warnings if "no effect" in event["event"]]
    named = {key for keys in idle["settings"].values() for key in keys}
    assert {"etcd.heartbeat_interval", "logging.max_size", "replication.enabled"} <= named
    assert any("api.rest.cors_origins" in event.values() for event in warnings)
    assert node.stop() == 0


def test_listening_wider_is_warned_about(node: NodeProcess) -> None:
    port = node.rest_address.rpartition(":")[2]
    node.environment = {**node.environment, "DECUBE_API_REST_ADDRESS": f":{port}"}
    node.ensure_started()
    wait_until(lambda: "ready" in node.said(), "it told that it is ready")
    (warning,) = [event for event in log_events(node) if event["level"] == "warning"]
    assert "without TLS" in warning["event"]
    assert warning["listeners"] == {"api.rest.address": f"0.0.0.0:{port}"}


@pytest.mark.parametrize("engine", ["log", "memory"])
def test_the_memory_engine_forgets_and_the_log_does_not(node: NodeProcess, engine: str) -> None:
    node.environment = {**node.environment, "DECUBE_STORE_ENGINE": engine}
    node.ensure_started()
    base = f"http://{node.rest_address}"
    assert httpx2.post(f"{base}/api/v1/pods", json={"name": "a"}).status_code == 201
    assert node.stop() == 0
    node.ensure_started()
    expected = {"log": 200, "memory": 404}[engine]
    assert httpx2.get(f"{base}/api/v1/pods/a").status_code == expected


def test_a_node_whose_data_directory_was_removed_takes_no_more_writes(node: NodeProcess) -> None:
    node.ensure_started()
    pods = f"http://{node.rest_address}/api/v1/pods"
    assert httpx2.post(pods, json={"name": "web"}).status_code == 201
    shutil.rmtree(node.directory / "data")
    ready = f"http://{node.etcd_address}/readyz"
    wait_until(lambda: httpx2.get(ready).status_code == 503, "it noticed")
    refused = httpx2.post(pods, json={"name": "api"})
    assert refused.status_code == 503
    assert "the data directory was removed" in refused.text
    assert httpx2.get(f"{pods}/web").status_code == 200
    wait_until(lambda: "takes no more writes" in node.said(), "the log told it")
