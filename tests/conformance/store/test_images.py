"""Images: the whole store at one revision, from every backend in the same format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from decube import _native
from decube.kit.errors import Unimplemented

if TYPE_CHECKING:
    from tests.support.stores import Scene

    from decube.store.protocol import StoreImage

REMOTE = ("remote-decube", "remote-etcd")


class Contents:
    """What an image holds, decoded and checked to its end."""

    def __init__(self) -> None:
        self.head: tuple[int, ...] = ()
        self.leases: dict[int, int] = {}
        self.kvs: dict[bytes, tuple[bytes, int, int, int]] = {}
        self.pieces = 0

    @classmethod
    async def read(cls, image: StoreImage) -> Contents:
        contents = cls()
        decoder = _native.ImageDecoder()
        async for piece in image:
            contents.pieces += 1
            for item in decoder.feed(piece):
                contents.take(item)
        decoder.finish()
        return contents

    def take(self, item: _native._ImageItem) -> None:
        match item:
            case ("head", _, _, revision, compact_revision):
                self.head = (revision, compact_revision)
            case ("lease", lease_id, ttl_s, _):
                self.leases[lease_id] = ttl_s
            case ("put", (key, value, _, mod_revision, version, lease)):
                self.kvs[key] = (value, mod_revision, version, lease)

    def of(self, scene: Scene) -> dict[str, bytes]:
        found = {key: value for key, (value, *_) in self.kvs.items()}
        own = {key: found[key] for key in found if key.startswith(scene.prefix)}
        return {key.removeprefix(scene.prefix).decode(): own[key] for key in own}


async def test_an_image_is_of_its_revision_while_writes_go_on(scene: Scene) -> None:
    for number in range(200):
        await scene.put(f"key-{number:03}", b"before")
    await scene.delete("key-007")
    last = await scene.put("key-008", b"changed")
    async with scene.store.image() as image:
        for number in range(0, 200, 5):
            await scene.put(f"key-{number:03}", b"later")
        await scene.put("new", b"later")
        contents = await Contents.read(image)
        assert image.revision == last
        assert contents.head == (last, last)
    expected = {f"key-{number:03}": b"before" for number in range(200)}
    del expected["key-007"]
    assert contents.of(scene) == expected | {"key-008": b"changed"}
    kv = await scene.get("key-008", last)
    assert kv is not None
    kept = contents.kvs[scene.key("key-008")]
    assert kept == (kv.value, kv.mod_revision, kv.version, kv.lease)


async def test_an_image_has_the_leases_with_their_ttl_and_keys(scene: Scene) -> None:
    lease = await scene.store.lease_grant(300)
    await scene.put("leased", b"v", lease.id)
    async with scene.store.image() as image:
        contents = await Contents.read(image)
    assert contents.leases[lease.id] == 300
    assert contents.kvs[scene.key("leased")][3] == lease.id
    await scene.store.lease_revoke(lease.id)


async def test_a_large_image_comes_in_pieces(scene: Scene) -> None:
    for number in range(40):
        await scene.put(f"large-{number}", b"v" * 200_000)
    async with scene.store.image() as image:
        contents = await Contents.read(image)
    # How many is the store's business, and depends on what else it has.
    assert contents.pieces > 1
    assert len(contents.of(scene)) == 40


async def test_only_the_embedded_store_has_images_with_history(scene: Scene) -> None:
    first = await scene.put("key", b"1")
    await scene.put("key", b"2")
    if scene.backend in REMOTE:
        with pytest.raises(Unimplemented):
            async with scene.store.image(history=True):
                pass
        return
    async with scene.store.image(history=True) as image:
        contents = await Contents.read(image)
    assert contents.head[1] < first
