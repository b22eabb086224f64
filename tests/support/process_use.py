"""What a process holds, from the kernel's books."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 1 << 20


class ProcessUse:
    """The memory and files of a process that runs."""

    def __init__(self, pid: int) -> None:
        self._directory = Path(f"/proc/{pid}")

    def files(self) -> int:
        """Count open files, sockets among them."""
        return len(os.listdir(self._directory / "fd"))  # noqa: PTH208 - only counted

    def memory_mib(self) -> int:
        """Tell resident memory."""
        return self._status("VmRSS")

    def peak_mib(self) -> int:
        """Tell the most resident memory since the last reset."""
        return self._status("VmHWM")

    def reset_peak(self) -> None:
        """Let the peak begin at what is resident now."""
        (self._directory / "clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        for line in (self._directory / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 // MIB
        raise AssertionError(f"the kernel does not tell {name}")
