"""`decube store`: a look at a store that does not run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.support.cli import Cli
from tests.support.stores import Scene, embedded

if TYPE_CHECKING:
    from pathlib import Path

USAGE = 2
UNAVAILABLE = 7
CORRUPT = 12
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def test_the_log_is_dumped_for_people_and_for_programs(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        scene = Scene(store, "embedded", b"")
        await scene.put("a", b"one")
        await scene.put("b", b"\xff")
        await scene.delete("a")
        await store.lease_grant(60)
    cli = Cli()
    told = cli("store", "dump-log", "--data-dir", str(tmp_path), "-o", "json").stdout
    put, binary, delete, grant = (json.loads(line) for line in told.splitlines())
    assert (put["sequence"], put["revision"], put["kind"]) == (1, 2, "write")
    (change,) = put["changes"]
    assert (change["type"], change["key"], change["value"]) == ("put", "a", "one")
    assert binary["changes"][0]["value_base64"] == "/w=="
    assert delete["changes"] == [{"type": "delete", "key": "a"}]
    assert (grant["kind"], grant["revision"], grant["ttl_s"]) == ("lease_grant", 4, 60)
    moments = (put["written_at"], grant["written_at"], grant["expires_at"])
    assert all(MOMENT.fullmatch(moment) for moment in moments), moments
    lines = cli("store", "dump-log", "--data-dir", str(tmp_path)).stdout.splitlines()
    assert lines[0] == f"1 {put['written_at']} revision=2 write put 'a'"


async def test_the_log_of_a_running_store_is_not_dumped(tmp_path: Path) -> None:
    async with embedded(tmp_path):
        refused = Cli()("store", "dump-log", "--data-dir", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (UNAVAILABLE, "")
    assert "is in use" in refused.stderr
    assert "--address" not in refused.stderr


async def test_what_is_no_place_of_entries_is_told(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        await Scene(store, "embedded", b"").put("a")
    dump, data_dir = ("store", "dump-log"), ("--data-dir", str(tmp_path))
    for arguments in ((), (*data_dir, "--file", "x.frames")):
        refused = Cli()(*dump, *arguments)
        assert refused.returncode == USAGE
        assert "--data-dir or --file" in refused.stderr
    absent = Cli()(*dump, "--file", str(tmp_path / "absent.frames"))
    assert absent.returncode == USAGE
    assert "there is no file" in absent.stderr
    segment = tmp_path / "00000000000000000001.log"
    another = Cli()(*dump, "--file", str(segment))
    assert another.returncode == CORRUPT
    assert "another kind of file" in another.stderr
    for name, content in (("words.txt", b"some words " * 20), ("empty", b"")):
        foreign = tmp_path / name
        foreign.write_bytes(content)
        refused = Cli()(*dump, "--file", str(foreign))
        assert refused.returncode == USAGE
        assert "is no file of writes that were never replicated" in refused.stderr
        assert "restore" not in refused.stderr
