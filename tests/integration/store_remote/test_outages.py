"""A remote store while its servers come and go."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from tests.support.node import EtcdProcess, NodeProcess
from tests.support.stores import WAIT_S_MAX, Scene, embedded, remote, serving, take_events
from tests.support.tcp_proxy import TcpProxy
from tools.ports import free_port

from decube.kit.errors import Closed, Compacted, Unavailable
from decube.store.embedded import EtcdListenerOptions
from decube.store.remote import RemoteOptions, RemoteStore
from decube.store.types import KeyRange, Revision, WatchBatch, WatchRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from decube.store.embedded import EmbeddedStore


@pytest.fixture
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdProcess]:
    with EtcdProcess(tmp_path_factory.mktemp("etcd")) as process:
        process.ensure_started()
        yield process


@pytest.fixture(params=[EtcdProcess, NodeProcess])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EtcdProcess | NodeProcess]:
    """Start a real etcd, and a node of ours."""
    process: EtcdProcess | NodeProcess = request.param(tmp_path_factory.mktemp("server"))
    with process:
        process.ensure_started()
        yield process


async def test_a_watch_goes_on_across_kills_without_loss_or_repeat(
    server: EtcdProcess | NodeProcess,
) -> None:
    async with remote(server.etcd_address) as store:
        scene = Scene(store, "remote")
        written: list[Revision] = []
        async with scene.watch() as batches:
            seen: list[int] = []
            for _ in range(3):
                written.append(await write_when_back(scene))
                written += [await scene.put("a", b"%d" % n) for n in range(19)]
                if len(written) % 40:
                    seen += [e.kv.mod_revision for e in await take_events(batches, 20)]
                server.kill()
                server.ensure_started()
            written.append(await write_when_back(scene))
            while len(seen) < len(written):
                seen += [e.kv.mod_revision for e in await take_events(batches, 1)]
        assert seen == written


async def write_when_back(scene: Scene) -> Revision:
    async with asyncio.timeout(WAIT_S_MAX):
        while True:
            try:
                return await scene.put("a", b"back")
            except Unavailable:
                await asyncio.sleep(0.05)


class CutOff:
    """A watch of a remote store whose server is gone, while the store behind it lives on."""

    def __init__(self, served: EmbeddedStore, stack: AsyncExitStack) -> None:
        self.served = served
        self.stack = stack

    async def watch(self) -> None:
        """Open the watch, see one event, and take the server away."""
        async with serving(self.served) as self.address:
            store = await RemoteStore.connect(RemoteOptions(endpoints=(self.address,)))
            self.stack.push_async_callback(store.close)
            near, self.far = Scene(store, "remote-decube"), Scene(self.served, "embedded-memory")
            self.far.prefix = near.prefix
            self.batches = await self.stack.enter_async_context(near.watch())
            await near.put("a")
            await take_events(self.batches, 1)

    async def bring_back(self) -> None:
        """Serve at the same address again."""
        await self.stack.enter_async_context(serving(self.served, self.address))


@pytest.fixture
async def cut_off() -> AsyncIterator[CutOff]:
    async with AsyncExitStack() as stack:
        scene = CutOff(await stack.enter_async_context(embedded()), stack)
        await scene.watch()
        yield scene


async def test_a_watch_catches_up_with_what_happened_while_it_was_cut_off(cut_off: CutOff) -> None:
    written = [await cut_off.far.put("a") for _ in range(10)]
    await cut_off.bring_back()
    written.append(await cut_off.far.put("a"))
    events = await take_events(cut_off.batches, 11)
    assert [event.kv.mod_revision for event in events] == written


async def test_a_watch_that_was_cut_off_over_a_compaction_says_compacted(cut_off: CutOff) -> None:
    await cut_off.far.put("a")
    last = await cut_off.far.put("a")
    await cut_off.served.compact(last)
    await cut_off.bring_back()
    with pytest.raises(Compacted) as refused:
        await take_events(cut_off.batches, 1)
    assert refused.value.compact_revision == last


async def version(scene: Scene) -> int:
    """Tell how often the key was written."""
    kv = await scene.get("a")
    return 0 if kv is None else kv.version


@pytest.fixture
async def scene_by_network() -> AsyncIterator[tuple[Scene, Scene, TcpProxy]]:
    """Give a scene that reaches its store through a network, one beside the store, and that."""
    async with (
        embedded() as served,
        serving(served) as address,
        TcpProxy(address) as network,
        remote(network.address) as store,
    ):
        near, far = Scene(store, "remote-decube"), Scene(served, "embedded-memory")
        far.prefix = near.prefix
        await near.put("a")
        yield near, far, network


async def test_a_write_whose_answer_is_lost_is_not_sent_again(
    scene_by_network: tuple[Scene, Scene, TcpProxy],
) -> None:
    near, far, network = scene_by_network
    network.answers_dropped = True
    async with far.watch() as batches:
        writing = asyncio.create_task(near.put("a"))
        await take_events(batches, 1)
    network.reset()
    network.heal()  # a second try would succeed
    with pytest.raises(Unavailable):
        await writing
    assert await version(near) == 2


async def test_a_read_whose_answer_is_lost_is_tried_again(
    scene_by_network: tuple[Scene, Scene, TcpProxy],
) -> None:
    near, _, network = scene_by_network
    network.answers_dropped = True
    network.asked.clear()
    reading = asyncio.create_task(version(near))
    async with asyncio.timeout(WAIT_S_MAX):
        await network.wait_until_asked()
        network.heal()
        network.reset()
        assert await reading == 1


async def test_calls_end_in_time_while_there_is_no_server(etcd: EtcdProcess) -> None:
    async with remote(etcd.etcd_address, request_timeout_s=0.5) as store:
        scene = Scene(store, "remote-etcd")
        await scene.put("a")
        etcd.kill()
        async with asyncio.timeout(WAIT_S_MAX):
            for call in (scene.get("a"), scene.put("a"), store.status(), store.leases()):
                with pytest.raises(Unavailable):
                    await call
            with pytest.raises(Unavailable):
                async with scene.watch():
                    pass
        etcd.ensure_started()
        await write_when_back(scene)
        found = await scene.get("a")
        assert found is not None
        assert found.value == b"back"


async def test_a_read_waits_for_a_server_that_comes_back_in_time(etcd: EtcdProcess) -> None:
    async with remote(etcd.etcd_address) as store:
        scene = Scene(store, "remote-etcd")
        await scene.put("a", b"kept")
        etcd.kill()
        reading = asyncio.create_task(scene.get("a"))
        await asyncio.sleep(0.2)
        etcd.start()
        found = await reading
        assert found is not None
        assert found.value == b"kept"


async def test_a_watch_gives_up_when_nobody_comes_back(etcd: EtcdProcess) -> None:
    store = await RemoteStore.connect(
        RemoteOptions(endpoints=(etcd.etcd_address,), watch_resume_timeout_s=0.5)
    )
    async with store.watch(WatchRequest(range=KeyRange(b"a"))) as batches:
        etcd.kill()
        async with asyncio.timeout(WAIT_S_MAX):
            with pytest.raises(Unavailable):
                await anext(batches)
    await store.close()


async def test_closing_ends_a_call_that_waits_for_a_server() -> None:
    store = RemoteStore(RemoteOptions(endpoints=(f"127.0.0.1:{free_port()}",)))
    scene = Scene(store, "remote-etcd")
    waiting = [
        asyncio.create_task(call)
        for call in (scene.get("a"), scene.put("a"), take_events(Opened(scene), 1))
    ]
    await asyncio.sleep(0.2)
    await store.close()
    async with asyncio.timeout(WAIT_S_MAX):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Closed] * 3


class Opened:
    """A watch that is opened when its first batch is wanted."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def __anext__(self) -> WatchBatch:
        async with self.scene.watch() as batches:
            return await anext(batches)


async def test_nobody_there_is_told_when_connecting() -> None:
    options = RemoteOptions(endpoints=(f"127.0.0.1:{free_port()}",), request_timeout_s=0.5)
    with pytest.raises(Unavailable, match="no endpoint answers"):
        await RemoteStore.connect(options)


async def test_the_next_endpoint_takes_over_for_reads_writes_and_watches() -> None:
    dead = f"127.0.0.1:{free_port()}"
    async with embedded() as served, serving(served) as lasting:
        first = await served.serve_etcd(EtcdListenerOptions(address="127.0.0.1:0"))
        async with remote(dead, first.address, lasting) as store:
            scene = Scene(store, "remote-decube")
            async with scene.watch() as batches:
                revisions = [await scene.put("a")]
                await first.stop(0)
                revisions.append(await write_when_back(scene))
                assert (await scene.list()).count == 1
                events = await take_events(batches, 2)
    assert [event.kv.mod_revision for event in events] == revisions


async def test_what_a_client_leaves_behind_is_gone_from_the_server() -> None:
    async with embedded() as served, serving(served) as address:
        async with remote(address) as store:
            scene = Scene(store, "remote-decube")
            for _ in range(20):
                async with scene.watch():
                    pass
                writing = asyncio.create_task(scene.put("a"))
                await asyncio.sleep(0)
                writing.cancel()
                await asyncio.wait([writing])
            async with asyncio.timeout(WAIT_S_MAX):
                while served.statistics()["watchers"]:  # noqa: ASYNC110 - told by another thread
                    await asyncio.sleep(0.01)
        names = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
    assert not {name for name in names if name.startswith("decube")}
