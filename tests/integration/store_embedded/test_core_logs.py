"""What the Rust core logs arrives in Python; in processes of their own, for there is one queue."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import asyncio, json, sys
from tests.support.waiting import WAIT_S_MAX
from decube.kit.errors import Invalid
from decube.store.embedded import (
    CoreLogs, EmbeddedOptions, EmbeddedStore, EtcdListenerOptions
)

async def main():
    events = []
    logs = CoreLogs.open(sys.argv[1], lambda *event: events.append(event))
    refusals = []
    for level in ("info", "loud"):
        try:
            CoreLogs.open(level, print)
        except Invalid as error:
            refusals.append(error.field)
    store = await EmbeddedStore.open(EmbeddedOptions())
    listener = await store.serve_etcd(EtcdListenerOptions(address="127.0.0.1:0"))
    if sys.argv[1] == "info":
        async with asyncio.timeout(WAIT_S_MAX):
            while not events:
                await asyncio.sleep(0.01)
    await listener.stop()
    await store.close()
    logs.close()
    print(json.dumps({"events": events, "address": listener.address, "refusals": refusals}))

asyncio.run(main())
"""


def run(level: str) -> dict[str, list[object]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, level],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, list[object]] = json.loads(done.stdout)
    return told


def test_an_event_arrives_with_its_time_level_origin_and_fields() -> None:
    told = run("info")
    (served,) = [event for event in told["events"] if event[3] == "etcd API is served"]  # type: ignore[index]
    wall_s, level, target, _, fields = served  # type: ignore[misc]
    assert wall_s > 1_700_000_000
    assert level == "info"
    assert target.startswith("decube_etcd_api")
    assert fields["address"] == told["address"]
    assert fields["workers"] >= 1


def test_events_below_the_level_do_not_arrive() -> None:
    assert run("error")["events"] == []


def test_a_second_queue_and_an_unknown_level_are_refused_by_field() -> None:
    assert run("error")["refusals"] == ["log", "level"]
