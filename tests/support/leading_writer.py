"""A node's part in the election, in a process of its own that a test may stop and let go on.

`python -m tests.support.leading_writer ETCD_ADDRESS NAME TTL_S` prints `leading` when it leads.
Then it writes for each line of its input, always through its *first* term's store, whatever became
of that term, and prints as JSON how it went.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.support.stores import remote

from decube.kit import logging
from decube.kit.errors import NotLeader
from decube.services.leadership import Candidate, FencedStore, Leadership
from decube.store.types import Put, Txn

KEY = b"/test/written-by"


async def lead_and_write(etcd_address: str, name: str, ttl_s: float) -> None:
    """Lead, then write whenever told to, until the input ends."""
    first_term: asyncio.Future[FencedStore] = asyncio.get_running_loop().create_future()

    async def work(store: FencedStore) -> None:
        if not first_term.done():
            first_term.set_result(store)

    async with remote(etcd_address) as store:
        leadership = Leadership(store, Candidate(name, name), ttl_s=ttl_s, work=(work,))
        running = asyncio.create_task(leadership.run())
        fenced = await first_term
        print("leading", flush=True)  # noqa: T201 - to the test
        while await asyncio.to_thread(sys.stdin.readline):
            answer: dict[str, object] = {"is_leader": leadership.is_leader}
            try:
                answer["written"] = (
                    await fenced.txn(Txn(success=(Put(KEY, name.encode()),)))
                ).revision
            except NotLeader as error:
                answer["refused"] = error.leader
            print(json.dumps(answer), flush=True)  # noqa: T201 - to the test
        running.cancel()
        await asyncio.wait([running])


if __name__ == "__main__":
    logging.configure(level="error", form="json", output="stderr")
    asyncio.run(lead_and_write(sys.argv[1], sys.argv[2], float(sys.argv[3])))
