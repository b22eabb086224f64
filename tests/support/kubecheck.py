"""The program of tools/peers that drives stores as Kubernetes API servers do."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.support.peers import peer


def kubecheck(command: str, store: str, *flags: str, timeout_s: float = 110) -> dict[str, Any]:
    """Run one of its commands on a store, and return what it found."""
    done = subprocess.run(
        [peer("kubecheck"), command, f"-store={store}", *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
