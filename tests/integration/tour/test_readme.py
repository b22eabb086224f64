"""The README's tour, typed as a newcomer would type it.

Every `$` line of its console blocks runs in a shell; what it prints must match what stands below
it, where `...` stands for anything within a line. Only the ports differ, so that the test can run
beside anything else.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

ROOT = Path(__file__).resolve().parents[3]
COMMAND_SECONDS_MAX = 60


def steps(text: str) -> list[tuple[str, str]]:
    """Return the commands of all console blocks with what the page says they print."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
        typed = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE)
        found += [(command, expected.strip()) for command, expected in typed]
    return found


def matches(expected: str, printed: str) -> bool:
    """Compare line by line; `...` is anything within a line."""
    pattern = "\n".join(
        ".*".join(re.escape(part) for part in line.split("...")) for line in expected.splitlines()
    )
    return re.fullmatch(pattern, printed.strip()) is not None


def test_the_readmes_tour_prints_what_it_says(node: NodeProcess) -> None:
    node.ensure_started()
    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "DECUBE_ADDRESS": f"http://{node.rest_address}",
        "NO_COLOR": "1",
    }
    tour = steps((ROOT / "README.md").read_text())
    assert len(tour) > 8, "the tour was not found"
    for command, expected in tour:
        typed = command.replace("localhost:8080", node.rest_address)
        done = subprocess.run(
            ["bash", "-c", typed],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
        )
        assert matches(expected, done.stdout), (command, expected, done.stdout, done.stderr)


def test_a_wrong_answer_would_be_noticed() -> None:
    assert matches('{"a":"...","b":1}', '{"a":"x","b":1}')
    assert not matches('{"a":"...","b":1}', '{"a":"x","b":2}')
    assert not matches("one", "one\ntwo")
