"""`decube leases run`: a command runs while its lease is held, and no longer."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx2
import pytest
from tests.support.cli import Cli
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import WAIT_S_MAX

if TYPE_CHECKING:
    from tests.support.node import NodeProcess

# Says that it runs, so that a test knows when, and then waits for a signal.
STANDING = "echo $DECUBE_LEASE_ID $DECUBE_FENCING_TOKEN $$; sleep 100 & wait"


def first_line(stream: IO[str] | None) -> list[str]:
    """Read the words of a line; the test's own timeout bounds the wait."""
    assert stream is not None
    return stream.readline().split()


def is_free(cli: Cli, name: str) -> bool:
    listed = cli("leases", "list", "--name", name, "-o", "json")
    return json.loads(listed.stdout)["count"] == 0


def is_running(pid: str) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def run(name: str, script: str, *options: str) -> list[str]:
    return ["leases", "run", "--name", name, *options, "--", "sh", "-c", script]


def test_the_command_runs_with_the_lease_which_is_free_afterwards(cli: Cli) -> None:
    script = "echo $DECUBE_LEASE_ID $DECUBE_FENCING_TOKEN; exit 7"
    done = cli(*run("plain", script, "--holder", "me"))
    lease, token = done.stdout.split()
    assert (done.returncode, done.stderr) == (7, "")
    assert lease.startswith("lease-")
    assert is_free(cli, "plain")
    later = cli(*run("plain", script)).stdout.split()
    assert int(later[1]) > int(token)


def test_what_follows_the_dashes_is_the_commands(cli: Cli) -> None:
    typed = ("leases", "run", "--name", "dashes", "--", "printf", "%s.", "--help", "--ttl", "--")
    done = cli(*typed)
    assert (done.returncode, done.stdout) == (0, "--help.--ttl.--."), done.stderr


def test_the_lease_is_renewed_while_the_command_runs(cli: Cli, tmp_path: Path) -> None:
    enough = tmp_path / "enough"
    until_then = f"echo up; while [ ! -e {enough} ]; do sleep 0.1; done"
    with cli.start(*run("renewed", until_then, "--ttl", "4s")) as held:
        assert first_line(held.stdout) == ["up"]
        # For longer than its TTL somebody else tries to get it.
        refused = cli("leases", "run", "--name", "renewed", "--wait-timeout", "5s", "--", "true")
        assert refused.returncode == 4
        assert "waiting" in refused.stderr
        enough.touch()
        assert held.wait(timeout=WAIT_S_MAX) == 0


def test_who_waits_gets_it_when_the_holder_ends(cli: Cli) -> None:
    with cli.start(*run("queue", STANDING)) as first:
        first_line(first.stdout)
        with cli.start(*run("queue", "echo mine")) as second:
            assert second.stderr is not None
            assert "waiting" in second.stderr.readline()
            first.send_signal(signal.SIGTERM)
            assert first_line(second.stdout) == ["mine"]
            assert second.wait(timeout=WAIT_S_MAX) == 0
        assert first.wait(timeout=WAIT_S_MAX) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_the_commands_to_answer(cli: Cli, number: int) -> None:
    script = f"trap 'exit 9' {number}; {STANDING}"
    with cli.start(*run("signals", script)) as held:
        first_line(held.stdout)
        held.send_signal(number)
        assert held.wait(timeout=WAIT_S_MAX) == 9
    assert is_free(cli, "signals")


def test_a_command_whose_lease_was_taken_away_is_stopped(cli: Cli) -> None:
    # It does not end by SIGTERM, and has a child in the background.
    script = f"trap 'echo asked' TERM; (trap '' TERM; exec sleep 100) & {STANDING}; wait; wait"
    with cli.start(*run("taken", script, "--ttl", "3s")) as held:
        lease, _, pid = first_line(held.stdout)
        cli("leases", "delete", lease)
        out, told = held.communicate(timeout=WAIT_S_MAX)
    assert (held.returncode, out) == (124, "asked\n")
    assert told == "decube: lost the lease taken: it has ended; stopping sh\n"
    assert not is_running(pid)


def test_a_command_whose_leases_name_was_taken_away_is_stopped(
    cli: Cli, running: NodeProcess
) -> None:
    with cli.start(*run("robbed", STANDING, "--ttl", "3s")) as held:
        first_line(held.stdout)
        etcd = ("--endpoints", running.etcd_address)
        assert cli("kv", "del", "/decube/lease-names/robbed", *etcd).returncode == 0
        assert cli("leases", "run", "--name", "robbed", "--no-wait", "--", "true").returncode == 0
        _, told = held.communicate(timeout=WAIT_S_MAX)
    assert held.returncode == 124
    assert told == "decube: lost the lease robbed: its name was taken from it; stopping sh\n"


async def test_a_command_that_cannot_renew_is_stopped_while_its_lease_still_lives(
    running: NodeProcess,
) -> None:
    # Before it is needed: on a busy machine it takes a while to make one.
    client = httpx2.AsyncClient(base_url=f"http://{running.rest_address}")
    async with TcpProxy(running.rest_address) as proxy, client:
        process = await asyncio.create_subprocess_exec(
            Cli.program(),
            *run("cut", f"trap 'echo asked' TERM; {STANDING}; wait", "--ttl", "6s"),
            env={**os.environ, "DECUBE_ADDRESS": f"http://{proxy.address}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            lease = (await process.stdout.readline()).split()[0].decode()
            assert (await client.get(f"/api/v1/leases/{lease}")).status_code == 200
            proxy.hold()
            assert await process.stdout.readline() == b"asked\n"
            assert (await client.get(f"/api/v1/leases/{lease}")).status_code == 200
        finally:
            _, told = await process.communicate()
    assert process.returncode == 124
    assert b"it could not be renewed in time: cannot reach" in told


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_a_command_does_not_outlive_its_keeper(cli: Cli) -> None:
    with cli.start(*run("killed", f"trap '' TERM; {STANDING}", "--ttl", "2s")) as held:
        _, _, pid = first_line(held.stdout)
        held.kill()
        held.wait()
        while is_running(pid):
            os.sched_yield()


def test_the_command_has_the_terminal_and_its_ctrl_c(cli: Cli) -> None:
    script = "trap 'echo stopped; exit 5' INT; read word; echo got $word; read word"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(cli.environment)
        program = str(Cli.program())
        os.execv(program, [program, *run("terminal", script)])  # noqa: S606 - as a shell does
    os.write(terminal, b"hello\n")
    seen = b""
    while b"got hello" not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    while b"stopped" not in seen:
        seen += os.read(terminal, 1000)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 5
    assert is_free(cli, "terminal")
