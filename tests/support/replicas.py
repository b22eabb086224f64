"""Nodes that replicate to each other through networks that tests can break."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

import grpc
from tests.support.tcp_proxy import TcpProxy
from tools.ports import free_port
from tools.servers import NodeProcess

from decube.pb.etcd import rpc_pb2 as pb
from decube.pb.etcd.rpc_pb2_grpc import KVStub, MaintenanceStub

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

TOKEN = "the same on all nodes of the test"  # noqa: S105 - of a test
WAIT_SECONDS_MAX = 60.0
CALL_SECONDS_MAX = 10.0


class Replica(NodeProcess):
    """A node with a part in replication."""

    def __init__(self, directory: Path, name: str, role: str, peer_port: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.peer_address = f"127.0.0.1:{peer_port}"
        super().__init__(
            directory,
            DECUBE_NODE_ID=name,
            DECUBE_REPLICATION_ROLE=role,
            DECUBE_REPLICATION_LISTEN_ADDRESS=self.peer_address,
            DECUBE_REPLICATION_TOKEN=TOKEN,
            DECUBE_REPLICATION_RETRY_INTERVAL="100ms",
            DECUBE_REPLICATION_PEER_TIMEOUT="5s",
            DECUBE_REPLICATION_MAX_RETRIES="1",
            DECUBE_ETCD_AUTO_COMPACTION_RETENTION="0",
            DECUBE_SNAPSHOT_ENABLED="false",
        )

    def knows(self, *peers: str) -> None:
        """Tell it, before its start, where its peers replicate."""
        self.environment = {**self.environment, "DECUBE_NODE_PEER_ADDRESSES": ",".join(peers)}

    def state(self) -> dict[str, Any]:
        """Ask who is who."""
        return self._rest("GET", "/api/v1/replication")

    def promote(self) -> dict[str, Any]:
        """Make it the primary."""
        return self._rest("POST", "/api/v1/replication/promote")

    def demote(self) -> dict[str, Any]:
        """Make it a standby."""
        return self._rest("POST", "/api/v1/replication/demote")

    def _rest(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"http://{self.rest_address}{path}", method=method)
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS_MAX) as answer:  # noqa: S310
            told: dict[str, Any] = json.load(answer)
            return told

    def channel(self) -> grpc.Channel:
        """Open a channel to its etcd port."""
        return grpc.insecure_channel(self.etcd_address)

    def put(self, key: str, value: str = "v") -> int:
        """Write by its etcd port; returns the revision."""
        with self.channel() as channel:
            request = pb.PutRequest(key=key.encode(), value=value.encode())
            answer = KVStub(channel).Put(request, timeout=CALL_SECONDS_MAX, wait_for_ready=True)
            return int(answer.header.revision)

    def get(self, key: str, *, local: bool = True) -> str | None:
        """Read by its etcd port; `local` is a serializable read."""
        with self.channel() as channel:
            request = pb.RangeRequest(key=key.encode(), serializable=local)
            answer = KVStub(channel).Range(request, timeout=CALL_SECONDS_MAX, wait_for_ready=True)
            return answer.kvs[0].value.decode() if answer.kvs else None

    def hash_kv(self) -> tuple[int, int, int]:
        """Return the hash of what it has, the revision, and the compaction."""
        with self.channel() as channel:
            request = pb.HashKVRequest()
            answer = MaintenanceStub(channel).HashKV(
                request, timeout=CALL_SECONDS_MAX, wait_for_ready=True
            )
            return answer.hash, answer.hash_revision, answer.compact_revision


class Replicas:
    """A primary and standbys; each reaches each other through a `TcpProxy` of its own.

    `network(a, b)` is the one that a dials b through.
    """

    def __init__(self, directory: Path, standbys: int = 1) -> None:
        names = ["a", "b", "c", "d"][: standbys + 1]
        ports = {name: free_port() for name in names}
        self.nodes = {
            name: Replica(directory / name, name, "primary" if name == "a" else "standby", port)
            for name, port in ports.items()
        }
        self._networks = {
            (one, other): TcpProxy(f"127.0.0.1:{ports[other]}")
            for one in names
            for other in names
            if one != other
        }
        for name, node in self.nodes.items():
            node.knows(*(p.address for (one, _), p in self._networks.items() if one == name))

    def __getitem__(self, name: str) -> Replica:
        return self.nodes[name]

    def network(self, one: str, other: str) -> TcpProxy:
        """Return what `one` dials `other` through."""
        return self._networks[one, other]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for proxy in self._networks.values():
                await stack.enter_async_context(proxy)
            for node in self.nodes.values():
                stack.enter_context(node)
            await self.start(*self.nodes)
            await self.wait_until_met()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def start(self, *names: str) -> None:
        """Start nodes, all at once, and wait until they are ready."""
        for name in names:
            self.nodes[name].start()
        for name in names:
            await asyncio.to_thread(self.nodes[name].wait_until_ready)

    async def wait_until_met(self) -> None:
        """Wait until each node has reached each other one.

        Through a proxy nobody knows by its address who dialed: until then it is listed twice.
        """

        def met() -> bool:
            others = len(self.nodes) - 1
            told = [node.state()["peers"] for node in self.nodes.values()]
            return all(len(p) == others and all(peer["connected"] for peer in p) for p in told)

        await wait_until(met, self.told)

    async def wait_until_equal(self) -> None:
        """Wait until all nodes that run answer the same HashKV at the same revision."""
        running = [node for node in self.nodes.values() if node.process is not None]
        await wait_until(lambda: len({node.hash_kv() for node in running}) == 1, self.told)

    async def wait_until_role(self, name: str, role: str) -> None:
        """Wait until a node has a role."""
        await wait_until(lambda: self.nodes[name].state()["role"] == role, self.told)

    def told(self) -> str:
        """Tell how things stand, for a failing test."""
        running = [node for node in self.nodes.values() if node.process is not None]
        return "\n".join(
            f"{n.name}: {n.state()} {n.hash_kv()}\n{n.said()[-1500:]}" for n in running
        )


async def wait_until(condition: Callable[[], bool], told: Callable[[], str]) -> None:
    """Wait, with a bound, until a condition on real processes holds."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise AssertionError(f"it never came to that:\n{told()}")
        await asyncio.sleep(0.05)
