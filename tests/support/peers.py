"""Where the real programs are that the tests drive; without one, a test skips and says why."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PEERS = Path(__file__).resolve().parents[2] / "tools" / "peers" / "bin"


def peer(name: str) -> str:
    """Return a program built from tools/peers (`server` is etcd itself), or skip the test."""
    program = PEERS / name
    if not program.exists():
        pytest.skip(f"{name} 3.7.1 is not built: it needs Go, then `make peers`")
    return str(program)


def found_by(
    program: str, command: str, store: str, *flags: str, timeout_s: float = 100
) -> dict[str, Any]:
    """Run a command of one of our programs in tools/peers on a store; return what it found."""
    done = subprocess.run(
        [peer(program), command, f"-store={store}", *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def etcdctl_of(version: str) -> str:
    """Return etcdctl of a version: 3.7.1 from tools/peers, 3.4.23 from Debian's etcd-client."""
    if version == "3.7.1":
        return peer("etcdctl")
    program = shutil.which("etcdctl")
    if program is None:
        pytest.skip(f"etcdctl {version} is not installed: `apt-get install etcd-client`")
    told = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    if version not in told:
        pytest.skip(f"{program} is not etcdctl {version}: {told.splitlines()[0]}")
    return program
