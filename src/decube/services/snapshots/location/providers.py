"""Opens buckets of the three providers with what the environment says of them.

obstore reads the providers' variables itself. Added here: an endpoint that is `http://` may be
spoken to in plain text, since whoever wrote it meant that, and the keys of AWS' shared credentials
file, which the tools of everybody who has one read.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from decube.kit.errors import Invalid
from decube.services.snapshots.location.bucket import (
    CLIENT_OPTIONS,
    RETRY_OPTIONS,
    BucketLocation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "GOOGLE_SERVICE_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
)
# Any of them says by itself who we are, so that the file is not looked at.
_AWS_IDENTITIES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def open_bucket(
    scheme: str, bucket: str, prefix: str, environment: Mapping[str, str]
) -> BucketLocation:
    """Open a bucket. Raises `Invalid`, with the command that installs what is missing."""
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
        from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415
    except ImportError as error:
        raise Invalid(
            f"{scheme}:// locations need the package obstore",
            field="location",
            hint=f"install it by: pip install 'decube[{scheme}]'",
        ) from error
    plain = any(environment.get(name, "").startswith("http://") for name in _ENDPOINTS)
    options: Any = {
        "prefix": prefix or None,
        "client_options": {**CLIENT_OPTIONS, **({"allow_http": True} if plain else {})},
        "retry_config": RETRY_OPTIONS,
    }
    url = f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else "")
    try:
        if scheme == "s3":
            return BucketLocation(url, S3Store(bucket, **options, **_shared_keys(environment)))
        if scheme == "gs":
            return BucketLocation(url, GCSStore(bucket, **options))
        return BucketLocation(url, AzureStore(bucket, **options))
    except (BaseError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise Invalid(f"cannot use the location {url}: {reason}", field="location") from error


def _shared_keys(environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - obstore's options
    """Return the keys of the profile in ~/.aws/credentials, if nothing else says who we are."""
    if any(environment.get(name) for name in _AWS_IDENTITIES):
        return {}
    home = environment.get("HOME", "")
    path = Path(
        environment.get("AWS_SHARED_CREDENTIALS_FILE") or Path(home) / ".aws" / "credentials"
    )
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise Invalid(f"cannot read the credentials file {path}: {type(error).__name__}") from error
    profile = environment.get("AWS_PROFILE") or "default"
    if not parser.has_section(profile):
        return {}
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
    }
    return {ours: parser[profile][name] for name, ours in names.items() if name in parser[profile]}
