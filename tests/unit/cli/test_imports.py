"""Client commands import nothing of the server, and only what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

SERVER = ("decube.daemon", "decube.api", "decube.services", "decube.registry", "decube._native")
HEAVY = ("litestar", "uvicorn", "uvloop", "structlog", "httpx2", "prometheus_client")


def modules_after(*arguments: str) -> set[str]:
    """Return what is imported when a command has run (its outcome does not matter)."""
    program = (
        "import sys\n"
        "from decube.cli.main import run\n"
        "run(sys.argv[1:])\n"
        "print('\\n' + ' '.join(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return set(done.stdout.rpartition("\n")[0].rpartition("\n")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["version"],
        ["--help"],
        ["up", "--help"],
        ["status", "--address", "127.0.0.1:1"],
        ["pods", "get", "a", "--address", "127.0.0.1:1"],
        ["pods", "watch", "--address", "127.0.0.1:1"],
        ["leases", "run", "--name", "a", "--address", "127.0.0.1:1", "--", "true"],
        ["snapshots", "restore", "a", "--yes", "--address", "127.0.0.1:1"],
        ["kv", "get", "a", "--endpoints", "127.0.0.1:1", "--timeout", "100ms"],
        ["config", "check"],
        ["certs", "issue", "--name", "a"],
    ],
    ids=" ".join,
)
def test_client_commands_import_nothing_of_the_server(arguments: list[str]) -> None:
    modules = modules_after(*arguments)
    assert "decube.cli.main" in modules
    assert not [name for name in modules if name.startswith(SERVER)]
    assert not [name for name in modules if name in HEAVY]


@pytest.mark.parametrize(
    "arguments",
    [
        ["version"],
        ["pods", "get", "a", "--address", "[::1]:1"],
        ["leases", "list", "--address", "[::1]:1"],
    ],
)
def test_commands_over_http_import_neither_grpc_nor_asyncio(arguments: list[str]) -> None:
    assert not modules_after(*arguments) & {"grpc", "asyncio", "yaml", "msgspec"}
