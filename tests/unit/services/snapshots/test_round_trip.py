"""An image becomes chunks and the same image again; whatever is damaged is found."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import pyrage
import pytest
from tests.support.snapshots import KIB, SNAPSHOT_ID, gathered, noise, stored, stream

from decube.kit.errors import Damaged, Denied, Invalid
from decube.services.snapshots.catalogue import Catalogue
from decube.services.snapshots.chunks import ChunkForm
from decube.services.snapshots.encryption import Identities, Recipients
from decube.services.snapshots.location.folder import FolderLocation
from decube.services.snapshots.reading import SnapshotReader
from decube.services.snapshots.verification import verify
from decube.services.snapshots.writing import cut, write_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from decube.services.snapshots.manifest import Manifest

KEY = pyrage.x25519.Identity.generate()
RECIPIENTS = Recipients([KEY.to_public()])
IDENTITIES = Identities([KEY], "a key")
FORMS = {
    "plain": ChunkForm(chunk_bytes=64 * KIB),
    "zstd": ChunkForm("zstd", chunk_bytes=64 * KIB),
    "age": ChunkForm(recipients=RECIPIENTS, chunk_bytes=64 * KIB),
    "zstd and age": ChunkForm("zstd", RECIPIENTS, chunk_bytes=64 * KIB),
}
CONTENT = noise(150 * KIB) + bytes(90 * KIB)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(FolderLocation(tmp_path))


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> ChunkForm:
    return FORMS[request.param]


def reader(
    catalogue: Catalogue, manifest: Manifest, identities: Identities | None = IDENTITIES
) -> SnapshotReader:
    folder = catalogue.folder(manifest.id)
    return SnapshotReader(catalogue.location, folder, manifest, identities=identities)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


async def test_what_was_written_is_read(catalogue: Catalogue, form: ChunkForm) -> None:
    manifest = await stored(catalogue, CONTENT, form)
    assert len(manifest.chunks) == 4
    assert manifest.size_bytes == len(CONTENT)
    assert manifest.checksum == hashlib.sha256(CONTENT).hexdigest()
    assert await gathered(reader(catalogue, manifest).image()) == CONTENT
    assert await catalogue.get(SNAPSHOT_ID) == manifest


async def test_compression_saves_room(catalogue: Catalogue) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS["zstd"])
    assert manifest.stored_bytes < 160 * KIB


async def test_chunks_are_hashed_as_they_are_stored(
    catalogue: Catalogue, form: ChunkForm, tmp_path: Path
) -> None:
    manifest = await stored(catalogue, CONTENT, form)
    for entry in manifest.chunks:
        content = (tmp_path / "snapshots" / SNAPSHOT_ID / entry.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry.sha256
        assert len(content) == entry.stored_bytes


@pytest.mark.parametrize("place", [0, 1000, -1])
async def test_a_flipped_bit_is_found(
    catalogue: Catalogue, form: ChunkForm, tmp_path: Path, place: int
) -> None:
    manifest = await stored(catalogue, CONTENT, form)
    flip(tmp_path / "snapshots" / SNAPSHOT_ID / "chunk-1", place)
    with pytest.raises(Damaged, match=f"chunk-1 of snapshot {SNAPSHOT_ID} is damaged"):
        await gathered(reader(catalogue, manifest).image())


@pytest.mark.parametrize("name", ["zstd", "age", "zstd and age"])
@pytest.mark.parametrize("place", [1000, -1])
async def test_what_is_compressed_or_encrypted_needs_no_hash_to_tell_damage(
    catalogue: Catalogue, tmp_path: Path, name: str, place: int
) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS[name])
    flip(tmp_path / "snapshots" / SNAPSHOT_ID / "chunk-1", place)
    with pytest.raises(Damaged, match=f"chunk-1 of snapshot {SNAPSHOT_ID} is damaged"):
        await gathered(reader(catalogue, manifest).image(check_hashes=False))


@pytest.mark.parametrize("left", [0, 1, 1000])
async def test_a_truncated_chunk_is_found_without_any_hash(
    catalogue: Catalogue, form: ChunkForm, tmp_path: Path, left: int
) -> None:
    manifest = await stored(catalogue, CONTENT, form)
    path = tmp_path / "snapshots" / SNAPSHOT_ID / "chunk-2"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(Damaged, match=r"chunk-2 .* bytes short"):
        await gathered(reader(catalogue, manifest).image(check_hashes=False))


async def test_a_missing_chunk_is_named(catalogue: Catalogue, tmp_path: Path) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS["plain"])
    (tmp_path / "snapshots" / SNAPSHOT_ID / "chunk-3").unlink()
    with pytest.raises(Damaged, match=r"chunk-3 .* is not there"):
        await gathered(reader(catalogue, manifest).image())


async def test_chunks_in_another_order_are_found(catalogue: Catalogue, tmp_path: Path) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS["plain"])
    folder = tmp_path / "snapshots" / SNAPSHOT_ID
    (folder / "chunk-0").rename(folder / "aside")
    (folder / "chunk-1").rename(folder / "chunk-0")
    (folder / "aside").rename(folder / "chunk-1")
    with pytest.raises(Damaged, match="chunk-0"):
        await gathered(reader(catalogue, manifest).image())


async def test_an_image_that_is_not_the_manifests_is_found(catalogue: Catalogue) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS["zstd"])
    lying = msgspec.structs.replace(manifest, checksum="0" * 64)
    with pytest.raises(Damaged, match="SHA-256 of its image"):
        await gathered(reader(catalogue, lying).image())


async def test_verifying_compares_the_hash_of_the_image_in_every_form(
    catalogue: Catalogue, form: ChunkForm
) -> None:
    manifest = await stored(catalogue, CONTENT, form)
    lying = msgspec.structs.replace(manifest, checksum="0" * 64)
    result = (await verify(lying, reader(catalogue, lying), lambda *_: None)).result
    assert not result.valid
    assert "SHA-256 of the image" in result.errors[0]
    assert result.image_checked


async def test_a_few_bytes_cannot_claim_to_be_terabytes(catalogue: Catalogue) -> None:
    manifest = await stored(catalogue, bytes(60 * KIB), FORMS["zstd"])
    entry = msgspec.structs.replace(manifest.chunks[0], plain_bytes=100)
    lying = msgspec.structs.replace(manifest, chunks=(entry,))
    with pytest.raises(Damaged, match="more than the manifest says"):
        await gathered(reader(catalogue, lying).image(check_hashes=False))


async def test_without_the_key_it_says_so(catalogue: Catalogue) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS["age"])
    with pytest.raises(Denied, match="is encrypted, and there is no key"):
        await gathered(reader(catalogue, manifest, None).image())


async def test_with_another_key_it_says_so(catalogue: Catalogue) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS["age"])
    other = Identities([pyrage.x25519.Identity.generate()], "other.key")
    with pytest.raises(Denied, match=r"none of the keys in other\.key opens chunk-0"):
        await gathered(reader(catalogue, manifest, other).image())


async def test_verifying_names_everything_that_is_damaged(
    catalogue: Catalogue, form: ChunkForm, tmp_path: Path
) -> None:
    manifest = await stored(catalogue, CONTENT, form)
    sound = (await verify(manifest, reader(catalogue, manifest), lambda *_: None)).result
    assert sound.valid
    assert sound.image_checked
    assert sound.bytes_checked == manifest.stored_bytes
    for name in ("chunk-0", "chunk-2"):
        flip(tmp_path / "snapshots" / SNAPSHOT_ID / name, 100)
    damaged = (await verify(manifest, reader(catalogue, manifest), lambda *_: None)).result
    assert not damaged.valid
    assert not damaged.image_checked
    assert [error.split()[0] for error in damaged.errors] == ["chunk-0", "chunk-2"]


async def test_verifying_needs_no_key_for_what_is_stored(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    manifest = await stored(catalogue, CONTENT, FORMS["zstd and age"])
    result = (await verify(manifest, reader(catalogue, manifest, None), lambda *_: None)).result
    assert result.valid
    assert not result.image_checked
    flip(tmp_path / "snapshots" / SNAPSHOT_ID / "chunk-1", 500)
    result = (await verify(manifest, reader(catalogue, manifest, None), lambda *_: None)).result
    assert not result.valid


async def test_an_error_of_the_image_ends_the_writing(catalogue: Catalogue) -> None:
    async def failing() -> AsyncIterator[bytes]:
        async for block in stream(CONTENT):
            yield block
        raise Damaged("the store is damaged")

    folder = catalogue.folder(SNAPSHOT_ID)
    with pytest.raises(Damaged, match="the store is damaged"):
        await write_image(catalogue.location, folder, failing(), FORMS["plain"], lambda *_: None)
    assert not await catalogue.has(SNAPSHOT_ID)


def test_identity_files_are_ages_own(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text(f"# created: today\n# public key: {KEY.to_public()}\n{KEY}\n")
    sealed = RECIPIENTS.seal([b"secret"])
    assert b"".join(Identities.load(path).open(sealed, "it")) == b"secret"
    assert pyrage.decrypt(b"".join(sealed), [KEY]) == b"secret"


def test_a_file_that_holds_no_key_is_refused_without_telling_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text("AGE-SECRET-KEY-1MISTYPED\n")
    with pytest.raises(Invalid, match="holds no age or SSH private key") as caught:
        Identities.load(path)
    assert "MISTYPED" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_no_recipient_is_refused() -> None:
    with pytest.raises(Invalid, match='"age1nobody" is no recipient') as caught:
        Recipients.parse([str(KEY.to_public()), "age1nobody"])
    assert caught.value.field == "snapshot.encryption.recipients"


async def test_blocks_pass_whole_unless_a_chunk_ends_in_them() -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for size in (3, 7, 25, 0, 5, 10):
            yield bytes(size)

    pieces = [len(piece) async for piece in cut(blocks(), 10)]
    assert pieces == [3, 7, 10, 10, 5, 5, 10]
