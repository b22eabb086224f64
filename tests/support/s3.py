"""A server that speaks S3 (moto's), in a process of its own, and what it is asked besides S3."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUCKET = "backups"
_ACCESS_KEY, _SECRET_KEY = "AKIATESTS", "of-no-worth"


class S3Server(NamedTuple):
    """Where it listens."""

    url: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is told to use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Any:  # noqa: ANN401 - it has no types
        """Return AWS' own client of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=_ACCESS_KEY,
            aws_secret_access_key=_SECRET_KEY,
            region_name="us-east-1",
        )

    def ask_for_keys(self, *, asked: bool) -> None:
        """Check from now on who asks; nobody is known then."""
        body = b"0" if asked else b"1000000000"
        headers = {"Content-Type": "text/plain"}
        httpx2.post(f"{self.url}/moto-api/reset-auth", content=body, headers=headers)

    def object_keys(self) -> list[str]:
        """Name all objects in the bucket."""
        found = self.client().list_objects_v2(Bucket=BUCKET)
        return sorted(entry["Key"] for entry in found.get("Contents", []))

    def unfinished_uploads(self) -> int:
        """Count uploads in parts that were neither completed nor aborted."""
        return len(self.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server with one empty bucket."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000000"},
    )
    try:
        assert process.stdout is not None
        server = S3Server(process.stdout.readline().strip())
        server.client().create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.kill()
        process.communicate()


_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
"""
