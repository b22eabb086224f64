"""What memory a process with a store takes; in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio
from pathlib import Path
from decube.store.embedded import EmbeddedOptions, EmbeddedStore

async def main():
    store = await EmbeddedStore.open(EmbeddedOptions())
    print(Path("/proc/self/status").read_text())
    await store.close()

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's books are Linux's")
def test_a_process_with_a_store_takes_no_huge_pages_which_idle_connections_would_fill() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    if "THP_enabled" not in told:
        pytest.skip("this kernel does not tell whether a process takes huge pages")
    assert told["THP_enabled"] == "0"
