"""How a command ends beside threads that Python cannot wait for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LINES = 5000
PROGRAM = """
import logging, pathlib, sys
from decube.cli import main
from decube.kit.log_file import LogFileHandler, Rotation

def run(arguments):
    logging.getLogger().addHandler(LogFileHandler(pathlib.Path(arguments[0]), Rotation()))
    for _ in range(int(arguments[1])):
        logging.warning("a line")
    sys.stdout.write("printed")
    return 7

sys.setswitchinterval(100)  # the thread that writes the log gets no turn that nobody gives it
sys.modules["obstore"] = sys
main.run = run
main.main(sys.argv[1:])
"""


def test_what_was_logged_and_printed_is_there_though_python_is_not_finalized(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log, str(LINES)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (7, "printed"), done.stderr
    assert log.read_text().count("a line\n") == LINES
