"""The generated pages are what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from decube.daemon.exits import MEANINGS, ExitCode
from decube.kit.errors import ANSWERS

ROOT = Path(__file__).resolve().parents[3]


def test_the_generated_pages_are_current() -> None:
    command = [sys.executable, ROOT / "tools" / "gendocs.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_reason_not_to_start_has_a_code_of_its_own() -> None:
    shared = {answer.exit_code for answer in ANSWERS.values()}
    assert set(MEANINGS) == set(ExitCode)
    assert not shared & {int(code) for code in ExitCode}
