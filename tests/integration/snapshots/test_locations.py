"""What every kind of location promises: a folder, and a bucket behind a real S3 server."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from tests.support.snapshots import gathered, noise, stream

from decube.kit.errors import Corrupt, NotFound
from decube.services.snapshots.location import Location, open_location

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MIB = 1 << 20
KEY = "snapshots/a/chunk-0"


@pytest.fixture(params=["folder", "s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "folder":
        return open_location(str(tmp_path / "not" / "there" / "yet"), os.environ)
    request.getfixturevalue("s3")
    return open_location("s3://backups/a/prefix", os.environ)


async def test_an_object_is_read_as_it_was_written(location: Location) -> None:
    # Three parts of an upload, the last of them small.
    content = noise(17 * MIB)
    await location.write(KEY, stream(content, MIB))
    assert await location.read(KEY, 0, len(content)) == content
    assert await location.read(KEY, 9 * MIB + 1, 1000) == content[9 * MIB + 1 :][:1000]


async def test_a_read_ends_where_the_object_does(location: Location) -> None:
    await location.write(KEY, stream(b"0123456789"))
    assert await location.read(KEY, 8, 100) == b"89"
    assert await location.read(KEY, 10, 100) == b""
    assert await location.read(KEY, 1000, 100) == b""


async def test_an_object_may_be_empty(location: Location) -> None:
    await location.write(KEY, stream(b""))
    assert await location.read(KEY, 0, 100) == b""


async def test_an_object_is_replaced_whole(location: Location) -> None:
    await location.write(KEY, stream(b"longer than the other"))
    await location.write(KEY, stream(b"short"))
    assert await location.read(KEY, 0, 100) == b"short"


async def test_what_is_not_there_is_not_found(location: Location) -> None:
    with pytest.raises(NotFound, match=r"there is no .*chunk-0"):
        await location.read(KEY, 0, 1)
    await location.delete([KEY])
    assert list(await location.list_folders("snapshots")) == []
    assert list(await location.list_objects("snapshots")) == []


async def test_an_error_of_the_pieces_leaves_no_object(location: Location) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield noise(9 * MIB)
        raise Corrupt("the image is damaged")

    with pytest.raises(Corrupt, match="the image is damaged"):
        await location.write(KEY, failing())
    assert list(await location.list_objects("snapshots")) == []


async def test_an_object_that_is_being_written_is_not_read(location: Location) -> None:
    going_on, go_on = asyncio.Event(), asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield noise(9 * MIB)
        going_on.set()
        await go_on.wait()

    writing = asyncio.create_task(location.write(KEY, halting()))
    await going_on.wait()
    with pytest.raises(NotFound):
        await location.read(KEY, 0, 1)
    go_on.set()
    await writing
    assert len(await location.read(KEY, 0, 1)) == 1


async def test_folders_and_objects_are_listed(location: Location) -> None:
    for key in ("snapshots/a/chunk-0", "snapshots/a/manifest.json", "snapshots/b/chunk-0"):
        await location.write(key, stream(b"content"))
    assert set(await location.list_folders("snapshots")) == {"a", "b"}
    found = await location.list_objects("snapshots/a")
    assert {entry.key for entry in found} == {"snapshots/a/chunk-0", "snapshots/a/manifest.json"}
    assert {entry.size_bytes for entry in found} == {7}


async def test_deleting_the_last_object_of_a_folder_deletes_the_folder(location: Location) -> None:
    await location.write("snapshots/a/chunk-0", stream(b"content"))
    await location.write("snapshots/a/chunk-1", stream(b"content"))
    await location.delete(["snapshots/a/chunk-0"])
    assert list(await location.list_folders("snapshots")) == ["a"]
    await location.delete(["snapshots/a/chunk-1", "snapshots/a/never-was"])
    assert list(await location.list_folders("snapshots")) == []


async def test_many_are_written_at_once(location: Location) -> None:
    keys = [f"snapshots/{number}/chunk-0" for number in range(8)]
    await asyncio.gather(*(location.write(key, stream(key.encode())) for key in keys))
    for key in keys:
        assert await location.read(key, 0, 100) == key.encode()


async def test_streams_of_known_bytes_are_what_they_should_be() -> None:
    assert await gathered(stream(b"0123456789", 3)) == b"0123456789"
