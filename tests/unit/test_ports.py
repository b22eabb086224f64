"""The ports that tests and benchmarks give to their servers."""

from __future__ import annotations

import subprocess
import sys

from tools.servers import ROOT

PORTS = 1_200  # more than a block, and than two
GIVING = (
    f"from tools.ports import free_port\nprint(*(free_port() for _ in range({PORTS})))\ninput()"
)


def test_processes_that_run_side_by_side_give_out_different_ports() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GIVING],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    given: list[str] = []
    for process in processes:
        assert process.stdout is not None
        given += process.stdout.readline().split()
    for process in processes:
        process.communicate("\n")
        assert process.returncode == 0
    assert len(set(given)) == len(given) == 2 * PORTS
