"""What goes wrong with a bucket is told precisely, and leaves nothing behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.support.s3 import BUCKET
from tests.support.snapshots import noise, stream
from tests.support.tcp_proxy import TcpProxy

from decube.kit.errors import Invalid, NotFound, Unauthenticated, Unavailable
from decube.services.snapshots.location import open_location

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.support.s3 import S3Server

    from decube.services.snapshots.location import Location

    Call = Callable[[Location], Awaitable[object]]

MIB = 1 << 20
KEY = "snapshots/a/chunk-0"
CALLS: dict[str, Call] = {
    "read": lambda location: location.read(KEY, 0, 1),
    "write": lambda location: location.write(KEY, stream(b"content")),
    "list_folders": lambda location: location.list_folders("snapshots"),
    "list_objects": lambda location: location.list_objects("snapshots"),
    "delete": lambda location: location.delete([KEY]),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]


async def test_a_bucket_that_does_not_exist_is_told(s3: S3Server, call: Call) -> None:
    assert s3
    location = open_location("s3://no-such-bucket/prefix", os.environ)
    with pytest.raises(Invalid, match=r"s3://no-such-bucket/prefix.* there is no such bucket"):
        await call(location)


async def test_wrong_credentials_are_told(s3: S3Server, call: Call) -> None:
    location = open_location(f"s3://{BUCKET}", os.environ)
    s3.ask_for_keys(asked=True)
    with pytest.raises(Unauthenticated, match="the access key is not known") as caught:
        await call(location)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.details["hint"])
    assert "AKIATESTS" not in str(caught.value)


async def test_keys_lie_below_the_prefix_of_the_location(s3: S3Server) -> None:
    await open_location(f"s3://{BUCKET}/a/b/", os.environ).write(KEY, stream(b"content"))
    assert s3.object_keys() == ["a/b/snapshots/a/chunk-0"]
    await open_location(f"s3://{BUCKET}/snapshots", os.environ).write(KEY, stream(b"content"))
    assert s3.object_keys() == ["a/b/snapshots/a/chunk-0", "snapshots/a/chunk-0"]


async def test_a_failed_upload_leaves_no_parts_behind(s3: S3Server) -> None:
    async def failing() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield noise(8 * MIB)
        raise NotFound("the rest is gone")

    with pytest.raises(NotFound, match="the rest is gone"):
        await open_location(f"s3://{BUCKET}", os.environ).write(KEY, failing())
    assert s3.object_keys() == []
    assert s3.unfinished_uploads() == 0


async def test_an_upload_survives_connections_that_are_cut(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = noise(40 * MIB)
    async with TcpProxy(s3.url.removeprefix("http://")) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{proxy.address}")
        location = open_location(f"s3://{BUCKET}", os.environ)

        async def interrupted() -> AsyncIterator[bytes]:
            async for number, piece in counted(stream(content, MIB)):
                if number in (10, 20, 30):
                    # A part is on its way when the next ones are asked for.
                    await proxy.wait_until_asked()
                    proxy.reset()
                    proxy.asked.clear()
                yield piece

        await location.write(KEY, interrupted())
        assert await location.read(KEY, 0, len(content)) == content


async def counted(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    number = 0
    async for piece in pieces:
        yield number, piece
        number += 1


def location_at(
    url: str, monkeypatch: pytest.MonkeyPatch, *, max_retries: int, place: str = "s3://backups"
) -> Location:
    """Open a location at a server that gives no answer, after so many tries more."""
    monkeypatch.setattr(
        "decube.services.snapshots.location.providers.RETRY_OPTIONS", {"max_retries": max_retries}
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    return open_location(place, os.environ)


async def test_a_server_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    location = location_at("http://127.0.0.1:1", monkeypatch, max_retries=1)
    told = r"s3://backups.*: no answer from 127\.0\.0\.1:1: connection refused$"
    with pytest.raises(Unavailable, match=told):
        await call(location)


async def test_a_name_that_speaks_of_credentials_is_not_taken_for_their_lack(
    monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    place = "s3://token-store/credentials"
    location = location_at("http://127.0.0.1:1", monkeypatch, max_retries=0, place=place)
    with pytest.raises(Unavailable, match=r"connection refused$"):
        await call(location)


async def test_who_was_asked_is_told_without_who_asked(
    monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    url = "http://admin:hush@storage.invalid:1"
    location = location_at(url, monkeypatch, max_retries=0)
    with pytest.raises(Unavailable, match=r"no answer from storage\.invalid:1: ") as caught:
        await call(location)
    assert "hush" not in caught.value.message
    assert "error sending request" not in caught.value.message
