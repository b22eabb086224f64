"""What a process holds, from the kernel's books."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    @contextmanager
    def peak_within(self, mib: int) -> Iterator[None]:
        """Hold that at no moment of a block there is more resident than so much over the start."""
        self.reset_peak()
        before = self.memory_mib()
        yield
        assert self.peak_mib() <= before + mib

    def cpu_s(self) -> float:
        """Tell the processor time that it has used."""
        fields = (self._directory / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        for line in (self._directory / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 // MIB
        raise AssertionError(f"the kernel does not tell {name}")
