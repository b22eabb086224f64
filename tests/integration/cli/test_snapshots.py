"""`decube snapshots` against a running node, and without one."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.support.cli import Cli
from tests.support.node import NodeProcess
from tests.support.snapshots import noise
from tests.support.stores import remote
from tests.support.tcp_proxy import TcpProxy

from decube.store.types import Put, Txn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABSENT = "snap-20260131T120000000Z-1f2e3d4c"

NOBODY_THERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
}


def created(cli: Cli) -> str:
    done = cli("snapshots", "create", "-o", "name")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().removeprefix("snapshot/")


def test_a_snapshots_life(cli: Cli) -> None:
    done = cli("snapshots", "create", "weekly", "-m", "by=admin", "-o", "yaml")
    assert done.returncode == 0, done.stderr
    snapshot = yaml.safe_load(done.stdout)
    assert (snapshot["name"], snapshot["status"]) == ("weekly", "completed")
    assert snapshot["metadata"] == {"by": "admin"}
    name = snapshot["id"]
    assert json.loads(cli("snapshots", "get", f"snapshot/{name}", "-o", "json").stdout) == snapshot
    table = cli("snapshots", "list").stdout.splitlines()
    assert table[0].split()[:3] == ["ID", "NAME", "STATUS"]
    assert table[1].split()[:3] == [name, "weekly", "completed"]
    verified = cli("snapshots", "verify", name)
    assert verified.returncode == 0
    assert verified.stdout.splitlines()[1].split() == ["valid", "yes"]
    assert cli("snapshots", "delete", "--yes", name).stdout == f"snapshot/{name} deleted\n"
    assert cli("snapshots", "get", name).returncode == 3
    assert cli("snapshots", "delete", "--yes", name).returncode == 3
    assert cli("snapshots", "delete", "--yes", name, "--ignore-not-found").returncode == 0


def test_what_was_deleted_since_is_back_after_a_restore(cli: Cli) -> None:
    cli("pods", "create", "restored")
    name = created(cli)
    cli("pods", "delete", "restored")
    done = cli("snapshots", "restore", "--yes", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"snapshot/{name} restored\n")
    assert cli("pods", "get", "restored").returncode == 0


def test_a_damaged_one_is_told_by_exit_code_12(
    cli: Cli, running: NodeProcess, tmp_path: Path
) -> None:
    name = created(cli)
    chunk = running.directory / "data" / "snapshots" / name / "chunk-0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    file = str(tmp_path / "backup.tar")
    for command in (["download", name, file], ["verify", name], ["restore", "--yes", name]):
        done = cli("snapshots", *command)
        assert done.returncode == 12, done.stderr
        assert f"snapshot {name} is damaged" in done.stderr
    assert list(tmp_path.iterdir()) == []
    told = running.log.read_text()
    assert told.count("a snapshot was not packed") == 1
    assert "ASGI" not in told
    assert "Traceback" not in told
    place = f"{running.directory / 'data'}/{name}"
    done = cli("snapshots", "restore", "--from", place, "--data-dir", str(tmp_path / "new"))
    assert done.returncode == 12
    assert "decube snapshots list" not in done.stderr  # which needs a node
    assert "--from LOCATION/ID names another one" in done.stderr


async def test_a_download_that_broke_off_is_not_told_as_damage_that_was_found_before(
    tmp_path: Path,
) -> None:
    with NodeProcess(tmp_path) as node:
        node.ensure_started()
        # More than the sockets on the way hold, so that the node notices as well.
        async with remote(node.etcd_address) as store:
            for number in range(16):
                await store.txn(Txn(success=(Put(b"%d" % number, noise(1 << 20, number)),)))
        cli = Cli({"DECUBE_ADDRESS": f"http://{node.rest_address}"})
        name = await asyncio.to_thread(created, cli)
        download = ("snapshots", "download", name, str(tmp_path / "backup.tar"))
        chunk = node.directory / "data" / "snapshots" / name / "chunk-0"
        content = await asyncio.to_thread(chunk.read_bytes)
        await asyncio.to_thread(chunk.write_bytes, bytes(len(content)))
        for _ in range(2):
            assert (await asyncio.to_thread(cli, *download)).returncode == 12
        await asyncio.to_thread(chunk.write_bytes, content)
        async with TcpProxy(node.rest_address) as proxy:
            proxy.answer_bytes_max = 1 << 16
            address = ("--address", f"http://{proxy.address}")
            broken = await asyncio.to_thread(cli, *download, *address)
        assert broken.returncode == 7, broken.stderr
        assert "broke off" in broken.stderr
        assert f"`decube snapshots verify {name}` tells whether it is damaged" in broken.stderr
        done = await asyncio.to_thread(cli, *download)
        assert done.returncode == 0, done.stderr


def test_one_with_a_damaged_manifest_is_told_beside_the_list(
    cli: Cli, running: NodeProcess
) -> None:
    name = created(cli)
    (running.directory / "data" / "snapshots" / name / "manifest.json").write_text("{")
    done = cli("snapshots", "list", "-o", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["unreadable"] == 1
    assert done.stderr.startswith("decube: 1 snapshot could not be read, and not listed: ")
    assert cli("snapshots", "delete", "--yes", name).returncode == 0
    assert cli("snapshots", "list").stderr == ""


def test_what_takes_something_away_needs_a_yes_where_nobody_can_be_asked(cli: Cli) -> None:
    name = created(cli)
    for command in (["snapshots", "delete", name], ["snapshots", "restore", name]):
        done = cli(*command, typed="y\n")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("decube: --yes is needed to "), done.stderr
    assert cli("snapshots", "get", name).returncode == 0


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "y\n"])
def test_on_a_terminal_it_is_asked_about(cli: Cli, answer: str) -> None:
    name = created(cli)
    code, told = cli.on_a_terminal("snapshots", "delete", name, typed=answer)
    assert f"This will delete {name} at {cli.environment['DECUBE_ADDRESS']}." in told
    done = cli("snapshots", "get", name)
    if answer == "y\n":
        assert (code, done.returncode) == (0, 3)
    else:
        assert (code, done.returncode) == (2, 0)
        assert "not confirmed: nothing was changed" in told


@pytest.mark.parametrize("into", ["data-dir", "to-endpoint"])
def test_a_newest_snapshot_that_cannot_be_read_is_not_passed_over(
    cli: Cli, running: NodeProcess, tmp_path: Path, into: str
) -> None:
    older, newest = created(cli), created(cli)
    shutil.copytree(running.directory / "data" / "snapshots", tmp_path / "snapshots")
    (tmp_path / "snapshots" / newest / "manifest.json").write_text("{")
    target = (f"--{into}", str(tmp_path / "new") if into == "data-dir" else "127.0.0.1:9")
    done = cli("snapshots", "restore", "--from", str(tmp_path), *target)
    assert done.returncode == 12, done.stderr
    assert f"the manifest of snapshot {newest} is damaged" in done.stderr
    assert f"--from {tmp_path}/{older}" in done.stderr
    assert not (tmp_path / "new").exists()
    into_new = ("--data-dir", str(tmp_path / "new"))
    assert cli("snapshots", "restore", "--from", f"{tmp_path}/{older}", *into_new).returncode == 0


def test_a_damaged_and_a_half_written_snapshot_hinder_no_other(
    cli: Cli, running: NodeProcess, tmp_path: Path
) -> None:
    names = [created(cli) for _ in range(3)]
    snapshots = tmp_path / "snapshots"
    for name in names:
        shutil.copytree(running.directory / "data" / "snapshots" / name, snapshots / name)
    (snapshots / names[0] / "manifest.json").write_text("{")
    (snapshots / names[2] / "manifest.json").unlink()
    restore = ("snapshots", "restore", "-o", "json", "--data-dir", str(tmp_path / "new"))
    done = cli(*restore, "--from", str(tmp_path))
    assert (done.returncode, json.loads(done.stdout)["snapshot"]) == (0, names[1]), done.stderr


def test_an_archive_goes_out_and_comes_back(cli: Cli, tmp_path: Path) -> None:
    name = created(cli)
    file = tmp_path / "backup.tar"
    done = cli("snapshots", "download", name, str(file))
    assert done.stdout == f"snapshot/{name} downloaded to {file}\n"
    assert cli("snapshots", "download", name, str(file)).returncode == 4
    assert cli("snapshots", "upload", str(file)).returncode == 4
    cli("snapshots", "delete", "--yes", name)
    done = cli("snapshots", "upload", str(file))
    assert (done.returncode, done.stdout) == (0, f"snapshot/{name} uploaded\n"), done.stderr
    assert cli("snapshots", "verify", name).returncode == 0
    absent = cli("snapshots", "upload", str(tmp_path / "absent"))
    assert (absent.returncode, "no such file" in absent.stderr) == (2, True)
    file.write_bytes(b"no archive" * 100)
    done = cli("snapshots", "upload", str(file))
    assert done.returncode == 2
    assert "is no archive of a snapshot" in done.stderr
    assert list(tmp_path.iterdir()) == [file]


def test_an_empty_etcd_is_filled_and_no_other(
    cli: Cli, running: NodeProcess, fresh_etcd: Callable[[], str]
) -> None:
    cli("pods", "create", "moved")
    place = f"{running.directory / 'data'}/{created(cli)}"
    endpoint = fresh_etcd()
    fill = ("snapshots", "restore", "--from", place, "--to-endpoint", endpoint)
    done = cli(*fill, "-o", "json")
    assert done.returncode == 0, done.stderr
    found = cli("kv", "get", "--prefix", "/", "--count-only", "--endpoints", endpoint).stdout
    assert json.loads(done.stdout)["keys"] == int(found) >= 1
    pod = ("kv", "get", "/decube/pods/default/moved", "--endpoints", endpoint)
    assert cli(*pod).stdout.startswith("/decube/pods/default/moved\n")
    again = cli(*fill)
    assert again.returncode == 5
    assert "the store is not empty" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "name the snapshot to restore"),
        ((ABSENT, "--yes"), 3, f"there is no snapshot {ABSENT}"),
        (("--data-dir", "new"), 2, "--from LOCATION is needed"),
        (("--from", "old"), 2, "either --data-dir or --to-endpoint"),
        ((ABSENT, "--from", "old", "--data-dir", "new"), 2, f"--from old/{ABSENT}"),
        (("--from", "old", "--data-dir", "new", "--to-revision", "7"), 2, "--log-dir goes with"),
        (("--from", "old", "--data-dir", "new", "--to-revision", "-5"), 2, "they are positive"),
        (
            ("--from", "old", "--data-dir", "new", "--log-dir", "l", "--to-revision", "0"),
            2,
            "--to-revision 0 is no revision: they are positive",
        ),
        (("--from", "/usr", "--data-dir", "new"), 3, "there is no snapshot in /usr\n"),
        ((f"--from=/usr/{ABSENT}", "--data-dir", "new"), 3, f"there is no snapshot {ABSENT}"),
        (("--from", "/nope", "--data-dir", "new"), 2, "there is no folder /nope\n"),
        ((f"--from=/nope/{ABSENT}", "--data-dir", "new"), 2, "there is no folder /nope\n"),
        (("--from", "ftp://x", "--data-dir", "new"), 2, "neither a folder nor s3://"),
        (("--from", "s3://", "--data-dir", "new"), 2, "neither a folder nor s3://"),
        (
            ("--from", "/usr", "--data-dir", "n", "--log-dir", "l", "--to-time", "today"),
            2,
            "is not a moment",
        ),
    ],
)
def test_what_cannot_be_restored_is_told(
    cli: Cli, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = cli("snapshots", "restore", *arguments)
    assert done.returncode == code, done.stderr
    assert told in done.stderr


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/proc/no-such", "cannot make the folder /proc/no-such: no such file or directory"),
        ("s3://backups", "no answer from 127.0.0.1:9: connection refused"),
    ],
)
def test_why_a_snapshot_failed_is_told_by_the_exit_code(
    tmp_path: Path, location: str, told: str
) -> None:
    node = NodeProcess(
        tmp_path,
        DECUBE_SNAPSHOT_LOCATION=location,
        DECUBE_SNAPSHOT_ENABLED="false",
        **NOBODY_THERE,
    )
    with node:
        node.ensure_started()
        done = Cli({"DECUBE_ADDRESS": f"http://{node.rest_address}"})("snapshots", "create")
    assert done.returncode == 7, done.stderr
    assert told in done.stderr
    assert "is the node up?" not in done.stderr


def test_a_location_whose_library_is_not_there_tells_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text("raise ImportError")
    cli = Cli({"PYTHONPATH": str(tmp_path)})
    done = cli("snapshots", "restore", "--from", "s3://backups", "--data-dir", str(tmp_path / "n"))
    assert done.returncode == 2
    assert "pip install 'decube[s3]'" in done.stderr
