"""Fetch the JavaScript of the API's docs page, so that it works without any other site.

    python tools/docs_assets.py

Swagger UI comes from the npm registry, by npm, at the version and with the checksum below. Its
files go to `src/decube/api/rest/static/`, which ships in the wheel. Without npm or the registry the
build goes on, and `/docs` says what is missing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "swagger-ui-dist@5.35.0"
INTEGRITY = (
    "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn"
    "/h0wCDNsXdGarTNNHC3sU8yVUQ=="
)
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE")
OUT = Path(__file__).resolve().parent.parent / "src" / "decube" / "api" / "rest" / "static"
STAMP = OUT / "VERSION"
FETCH_SECONDS_MAX = 120


def main() -> int:
    """Fetch what is not there yet; the exit code."""
    if STAMP.exists() and STAMP.read_text() == PACKAGE:
        return 0
    npm = shutil.which("npm")
    if npm is None:
        print("docs-assets: npm is not installed, so /docs will only link to /openapi.json")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        try:
            archive = fetch(npm, Path(scratch))
        except (OSError, subprocess.SubprocessError) as error:
            print(f"docs-assets: cannot fetch {PACKAGE}, so /docs will be plain: {error}")
            return 0
        if archive is None:
            print(f"docs-assets: {PACKAGE} has another checksum than pinned", file=sys.stderr)
            return 1
        unpack(archive)
    STAMP.write_text(PACKAGE)
    print(f"docs-assets: {PACKAGE}")
    return 0


def fetch(npm: str, into: Path) -> Path | None:
    """Have npm download and verify the package; None when it is not the pinned one."""
    packed = subprocess.run(
        [npm, "pack", PACKAGE, "--json", "--ignore-scripts", "--pack-destination", str(into)],
        capture_output=True,
        text=True,
        check=True,
        timeout=FETCH_SECONDS_MAX,
    )
    told = json.loads(packed.stdout)[0]
    return into / told["filename"] if told["integrity"] == INTEGRITY else None


def unpack(archive: Path) -> None:
    """Take the few files that the page needs."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for name in FILES:
            member = package.extractfile(f"package/{name}")
            if member is not None:
                (OUT / name).write_bytes(member.read())


if __name__ == "__main__":
    sys.exit(main())
