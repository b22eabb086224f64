"""Why a node does not start: one clear line, what to do, and an exit code of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.support.cli import Cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.node import NodeProcess

AS_ROOT = os.geteuid() == 0

FREE = {
    "DECUBE_NODE_LISTEN_ADDRESS": "127.0.0.1:0",
    "DECUBE_API_REST_ADDRESS": "127.0.0.1:0",
    "DECUBE_API_GRPC_ADDRESS": "127.0.0.1:0",
}


def refused(
    data: Path, *arguments: str, code: int, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Start a node that must be refused; return what it said."""
    cli = Cli({**FREE, "DECUBE_NODE_DATA_DIR": str(data), **environment})
    done = cli("up", *arguments)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    first, hint = done.stderr.splitlines()
    assert first.startswith("decube: ")
    assert hint.startswith("  ")
    return done


def test_a_second_start_on_the_same_directory_names_the_pid(node: NodeProcess) -> None:
    node.ensure_started()
    done = refused(node.directory / "data", code=20)
    assert f"is in use by process {node.pid}" in done.stderr


def test_two_directories_with_one_log_are_refused_too(node: NodeProcess, tmp_path: Path) -> None:
    node.ensure_started()
    log = node.directory / "data" / "etcd" / "wal"
    done = refused(tmp_path / "other", code=20, DECUBE_ETCD_WAL_DIR=str(log))
    assert str(node.pid) in done.stderr


@pytest.mark.parametrize(
    ("variable", "what", "key"),
    [
        ("DECUBE_API_REST_ADDRESS", "REST", "api.rest.address"),
        ("DECUBE_API_GRPC_ADDRESS", "gRPC", "api.grpc.address"),
        ("DECUBE_NODE_LISTEN_ADDRESS", "etcd", "node.listen_address"),
    ],
)
def test_a_taken_port_names_the_listener_and_its_key(
    tmp_path: Path, variable: str, what: str, key: str
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = refused(tmp_path / "data", code=21, **{variable: address})
    assert f"the {what} API cannot listen on {address}: the port is taken" in done.stderr
    assert key in done.stderr


@pytest.mark.parametrize("variable", list(FREE))
def test_an_address_of_another_machine_is_refused(tmp_path: Path, variable: str) -> None:
    done = refused(tmp_path / "data", code=26, **{variable: "192.0.2.1:7"})
    assert "cannot assign requested address" in done.stderr


@pytest.mark.parametrize("variable", list(FREE))
@pytest.mark.parametrize("host", ["nosuchhost.invalid", "no..host"])
def test_a_name_that_cannot_be_resolved_is_told(tmp_path: Path, variable: str, host: str) -> None:
    done = refused(tmp_path / "data", code=26, **{variable: f"{host}:7"})
    assert f"cannot listen on {host}:7: the name {host} cannot be resolved" in done.stderr


def test_two_listeners_at_one_address_are_refused_before_anything_is_opened(
    tmp_path: Path,
) -> None:
    given = {
        "DECUBE_NODE_DATA_DIR": str(tmp_path / "data"),
        "DECUBE_API_REST_ADDRESS": "127.0.0.1:7",
        "DECUBE_API_GRPC_ADDRESS": "0.0.0.0:7",
    }
    for command in (("up",), ("config", "check")):
        done = Cli(given)(*command)
        assert done.returncode == 2
        assert "api.grpc.address: 0.0.0.0:7 is taken by api.rest.address" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = refused(tmp_path / "file" / "data", code=22)
    assert "cannot write the data directory" in done.stderr


@pytest.mark.skipif(not AS_ROOT, reason="only root can start a process as somebody else")
def test_a_directory_of_somebody_else_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    # A program that gives up root first, since root may write everywhere.
    program = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "from decube.cli.main import main; main(['up', '--data-dir', sys.argv[1]])"
    )
    interpreter = Cli.program().parent / "python"
    if not readable_by_others(interpreter):
        pytest.skip(f"{interpreter} is not readable by other users")
    done = subprocess.run(
        [interpreter, "-c", program, data / "x"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 22, done.stderr
    assert "permission denied" in done.stderr


def readable_by_others(path: Path) -> bool:
    """Tell whether every directory on the way lets others through."""
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in path.resolve().parents)


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory, or skip the test."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=64k") as place:
        (place / "filler").write_bytes(b"x" * 60 * 1024)
        done = refused(place / "data", code=23)
    assert "no room in the data directory" in done.stderr


def test_a_disk_without_room_for_the_log_is_told(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=256k") as place:
        (place / "filler").write_bytes(b"x" * 200 * 1024)
        done = refused(place / "data", code=23)
    assert "no room in the data directory" in done.stderr


def test_a_read_only_file_system_is_told(tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "ro") as place:
        done = refused(place / "data", code=22)
    assert "read-only file system" in done.stderr


def test_damaged_data_is_told_by_file_and_offset(node: NodeProcess) -> None:
    node.ensure_started()
    assert Cli({"DECUBE_ENDPOINTS": node.etcd_address})("kv", "put", "a", "b" * 64).returncode == 0
    assert Cli({"DECUBE_ENDPOINTS": node.etcd_address})("kv", "put", "c", "d" * 64).returncode == 0
    node.stop()
    segment = max((node.directory / "data" / "etcd" / "wal").glob("*.log"))
    content = bytearray(segment.read_bytes())
    place = content.index(b"b" * 64)
    content[place] ^= 1
    segment.write_bytes(content)
    done = Cli({**FREE, "DECUBE_NODE_DATA_DIR": str(node.directory / "data")})("up")
    assert done.returncode == 12, done.stderr
    assert segment.name in done.stderr
    assert "damaged at byte" in done.stderr


def test_unreachable_endpoints_are_told_within_bounds(tmp_path: Path) -> None:
    done = refused(
        tmp_path / "data",
        *("--endpoints", "127.0.0.1:1,127.0.0.1:2"),
        code=25,
        DECUBE_STORE_CONNECT_TIMEOUT="500ms",
    )
    assert "127.0.0.1:1, 127.0.0.1:2 cannot be reached within 500ms" in done.stderr


def test_a_bad_configuration_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    done = Cli({"DECUBE_NODE_DATA_DIR": str(tmp_path / "data"), "DECUBE_API_RST": "1"})("up")
    assert done.returncode == 2
    assert "DECUBE_API_RST: no such setting; did you mean" in done.stderr
    assert not (tmp_path / "data").exists()
