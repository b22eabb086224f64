"""Locations as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.snapshots import SNAPSHOT_ID

from decube.kit.errors import Invalid
from decube.services.snapshots.location import Place, open_location, parse_place
from decube.services.snapshots.location.providers import _shared_keys

if TYPE_CHECKING:
    from pathlib import Path

ID = SNAPSHOT_ID


@pytest.mark.parametrize(
    ("text", "location", "snapshot_id"),
    [
        ("/srv/backups", "/srv/backups", ""),
        ("/srv/backups/", "/srv/backups", ""),
        ("/srv/backups/snapshots", "/srv/backups", ""),
        (f"/srv/backups/{ID}", "/srv/backups", ID),
        (f"/srv/backups/snapshots/{ID}/", "/srv/backups", ID),
        ("/snapshots", "/", ""),
        ("snapshots", ".", ""),
        (f"snapshots/{ID}", ".", ID),
        (ID, ".", ID),
        ("s3://bucket", "s3://bucket", ""),
        ("s3://bucket/a/b", "s3://bucket/a/b", ""),
        ("s3://bucket/a/snapshots", "s3://bucket/a", ""),
        (f"s3://bucket/snapshots/{ID}", "s3://bucket", ID),
        ("s3://snapshots", "s3://snapshots", ""),
        (f"s3://snapshots/{ID}", "s3://snapshots", ID),
        ("./s3:/backups", "./s3:/backups", ""),
        ("/srv/2026-11:daily", "/srv/2026-11:daily", ""),
        ("backups:daily", "backups:daily", ""),
    ],
)
def test_a_place_is_a_location_and_perhaps_a_snapshot(
    text: str, location: str, snapshot_id: str
) -> None:
    assert parse_place(text) == Place(location, snapshot_id)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ftp://host/path", "neither a folder nor s3://"),
        ("s3:///prefix", "neither a folder nor s3://"),
        ("s3://", "neither a folder nor s3://"),
        ("gs://", "neither a folder nor s3://"),
        ("az:", "neither a folder nor s3://"),
        ("s3:/bucket/prefix", "neither a folder nor s3://"),
        ("s3:bucket", "neither a folder nor s3://"),
        ("S3://bucket", "neither a folder nor s3://"),
        (f"s3://{ID}", "neither a folder nor s3://"),
        ("s3:///snapshots", "neither a folder nor s3://"),
        ("file:/srv/backups", "neither a folder nor s3://"),
        ("s3://key:secret@bucket", "scheme, bucket and prefix only"),
        ("s3://bucket/prefix?region=x", "scheme, bucket and prefix only"),
        (f"/srv/{ID}", "ends with the id of a snapshot"),
    ],
)
def test_what_is_no_location_is_refused_without_telling_secrets(text: str, told: str) -> None:
    with pytest.raises(Invalid, match=told) as refused:
        open_location(text, {})
    assert "secret" not in refused.value.message


def test_a_folder_of_the_home_directory_is_meant_by_a_tilde() -> None:
    assert "~" not in open_location("~/backups", {}).url


def test_shared_credentials_are_those_of_the_profile(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = B\n"
        "[other]\naws_access_key_id = C\naws_secret_access_key = D\naws_session_token = E\n"
    )
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    assert _shared_keys(environment) == {"access_key_id": "A", "secret_access_key": "B"}
    assert _shared_keys({**environment, "AWS_PROFILE": "other"}) == {
        "access_key_id": "C",
        "secret_access_key": "D",
        "session_token": "E",
    }
    assert _shared_keys({**environment, "AWS_PROFILE": "absent"}) == {}
    assert _shared_keys({**environment, "AWS_ACCESS_KEY_ID": "F"}) == {}
    assert _shared_keys({"HOME": str(tmp_path)}) == {}
