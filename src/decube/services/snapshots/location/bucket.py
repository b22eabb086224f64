"""A bucket as the location: S3, Google Cloud Storage or Azure, through obstore.

What is large goes up in parts, a few at a time, so that memory is bounded whatever the size; an
object exists only when its last part was confirmed. Reads are requests for ranges, each with a
bound of its own and repeated by itself: a slow consumer holds no connection open. obstore repeats
what may be repeated (5xx, connections that broke), with backoff, for `RETRY_S_MAX`.

Credentials, region and endpoint come from the environment, by the variables that the providers' own
tools use; nothing of them is kept, logged or told.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from decube.kit.errors import Unavailable
from decube.services.snapshots.location.bucket_errors import failure, is_beyond_the_end
from decube.services.snapshots.location.protocol import StoredObject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from obstore import Bytes
    from obstore.store import AzureStore, GCSStore, S3Store

    Buffer = Bytes | bytes
    Bucket = S3Store | GCSStore | AzureStore

Result = TypeVar("Result")

PART_BYTES: Final = 8 << 20
RANGE_BYTES: Final = 4 << 20
PARTS_IN_FLIGHT: Final = 3
CONNECT_S_MAX: Final = 5
REQUEST_S_MAX: Final = 120
RETRY_S_MAX: Final = 60
RETRIES_MAX: Final = 6
# The last request may begin right before retrying ends.
CALL_S_MAX: Final = RETRY_S_MAX + REQUEST_S_MAX
# Longer than any chunk takes on a line of 1 Mbit/s.
WRITE_S_MAX: Final = 1800

CLIENT_OPTIONS: Final = {
    "connect_timeout": timedelta(seconds=CONNECT_S_MAX),
    "timeout": timedelta(seconds=REQUEST_S_MAX),
}
RETRY_OPTIONS: Final = {
    "max_retries": RETRIES_MAX,
    "retry_timeout": timedelta(seconds=RETRY_S_MAX),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


class BucketLocation:
    """A `Location` in a bucket, below a prefix that the obstore `bucket` was made with."""

    def __init__(self, url: str, bucket: Bucket) -> None:
        self._url = url
        self._bucket = bucket

    @property
    def url(self) -> str:
        """Scheme, bucket and prefix."""
        return self._url

    @property
    def range_bytes(self) -> int:
        """So much that it is worth a request."""
        return RANGE_BYTES

    @property
    def files(self) -> None:
        """None; see `Location.files`."""

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """Read a range; see `Location.read`."""
        import obstore  # noqa: PLC0415 - only where buckets are used

        reading = obstore.get_range_async(self._bucket, key, start=offset, length=length)
        found = await self._do("read", key, _or_nothing(reading), CALL_S_MAX)
        return bytes(found)

    async def write(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Upload in parts; see `Location.write`."""
        import obstore  # noqa: PLC0415

        # An error of the pieces comes out as it is, and the upload is aborted.
        writing = obstore.put_async(
            self._bucket, key, pieces, chunk_size=PART_BYTES, max_concurrency=PARTS_IN_FLIGHT
        )
        await self._do("write", key, writing, WRITE_S_MAX)

    async def list_folders(self, prefix: str) -> Sequence[str]:
        """Name the common prefixes; see `Location.list_folders`."""
        import obstore  # noqa: PLC0415

        listing = obstore.list_with_delimiter_async(self._bucket, prefix)
        found = await self._do("list", prefix, listing, CALL_S_MAX)
        return [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]

    async def list_objects(self, prefix: str) -> Sequence[StoredObject]:
        """List below a prefix; see `Location.list_objects`."""
        import obstore  # noqa: PLC0415

        listing = obstore.list(self._bucket, prefix).collect_async()
        return [
            StoredObject(found["path"], found["size"], found["last_modified"])
            for found in await self._do("list", prefix, listing, CALL_S_MAX)
        ]

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; see `Location.delete`."""
        import obstore  # noqa: PLC0415

        async def delete() -> None:
            try:
                await obstore.delete_async(self._bucket, list(keys))
            except FileNotFoundError:
                # Some stores stop at the first that is not there.
                for key in keys:
                    await self._delete_one(key)

        await self._do("delete", keys[0] if keys else "", delete(), CALL_S_MAX)

    async def _delete_one(self, key: str) -> None:
        import obstore  # noqa: PLC0415

        try:
            await obstore.delete_async(self._bucket, key)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise

    async def _do(
        self, what: str, key: str, doing: Awaitable[Result], seconds_max: float
    ) -> Result:
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            async with asyncio.timeout(seconds_max):
                return await doing
        except TimeoutError as error:
            raise Unavailable(
                f"cannot {what} {self._url}/{key}: no end within {seconds_max} s"
            ) from error
        except (BaseError, FileNotFoundError, PermissionError, ValueError) as error:
            raise failure(what, self._url, key, error) from error


async def _or_nothing(reading: Awaitable[Buffer]) -> Buffer:
    """Read nothing where a range begins behind the end."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - only where buckets are used

    try:
        return await reading
    except BaseError as error:
        if is_beyond_the_end(error):
            return b""
        raise
