"""The form in which a chunk is stored: compressed by zstd, then encrypted by age, each if wanted.

Both objects here take pieces as they come and may be called from any thread, one call at a time.
Compressing holds a few MiB; encrypting holds the chunk, which is why encrypted chunks are smaller.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from decube.kit.errors import Damaged
from decube.services.snapshots.manifest import CHUNK_BYTES_MAX, ChunkEntry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from decube.services.snapshots.encryption import Identities, Recipients
    from decube.services.snapshots.manifest import Compression, Encryption

SEALED_CHUNK_BYTES: Final = 16 << 20
_LEVEL: Final = 3
_DECODED_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ChunkForm:
    """How chunks are to be stored."""

    compression: Compression = "none"
    recipients: Recipients | None = None
    chunk_bytes: int = CHUNK_BYTES_MAX

    @property
    def is_plain(self) -> bool:
        """Whether chunks are parts of the image as they are."""
        return self.compression == "none" and self.recipients is None

    @property
    def encryption(self) -> Encryption:
        """How the manifest says it."""
        return "none" if self.recipients is None else "age"

    @property
    def plain_bytes_max(self) -> int:
        """How much of the image goes into one chunk."""
        return min(self.chunk_bytes, CHUNK_BYTES_MAX if not self.recipients else SEALED_CHUNK_BYTES)


class ChunkEncoder:
    """Makes the stored form of one chunk, and describes it in the end."""

    def __init__(self, form: ChunkForm) -> None:
        self._recipients = form.recipients
        # Of a part of the image as it is somebody else has it.
        self._hash = None if form.is_plain else hashlib.sha256()
        self._unsealed: list[bytes] = []
        self._compressor = None
        if form.compression == "zstd":
            # With a checksum of its own, so that damage is found even when hashes are not asked.
            options: dict[int, int] = {
                zstd.CompressionParameter.compression_level: _LEVEL,
                zstd.CompressionParameter.checksum_flag: 1,
            }
            self._compressor = zstd.ZstdCompressor(options=options)
        self.plain_bytes = 0
        self.stored_bytes = 0

    def add(self, piece: bytes) -> list[bytes]:
        """Take a piece of the image; return what can be stored already."""
        self.plain_bytes += len(piece)
        return self._stored([self._compressor.compress(piece) if self._compressor else piece])

    def finish(self) -> list[bytes]:
        """Return the rest of what is to be stored."""
        last = self._stored([self._compressor.flush()] if self._compressor else [])
        if self._recipients is None:
            return last
        return self._hashed(self._recipients.seal(self._unsealed))

    def entry(self, name: str, plain_sha256: str) -> ChunkEntry:
        """Describe the finished chunk, whose part of the image has that hash, for the manifest."""
        sha256 = plain_sha256 if self._hash is None else self._hash.hexdigest()
        return ChunkEntry(name, self.plain_bytes, self.stored_bytes, sha256)

    def _stored(self, pieces: list[bytes]) -> list[bytes]:
        filled = [piece for piece in pieces if piece]
        if self._recipients is None:
            return self._hashed(filled)
        self._unsealed += filled
        return []

    def _hashed(self, pieces: list[bytes]) -> list[bytes]:
        for piece in pieces:
            if self._hash is not None:
                self._hash.update(piece)
            self.stored_bytes += len(piece)
        return pieces


class ChunkDecoder:
    """Makes the plain bytes of one stored chunk. Every error names the chunk as `what`.

    What is damaged may be found before its hash was computed, or in spite of not asking for it.
    """

    def __init__(
        self,
        what: str,
        entry: ChunkEntry,
        compression: Compression,
        identities: Identities | None,
        *,
        check_hash: bool,
    ) -> None:
        self._what = what
        self._entry = entry
        self._identities = identities
        self._hash = hashlib.sha256() if check_hash else None
        self._sealed: list[bytes] = []
        self._decompressor = zstd.ZstdDecompressor() if compression == "zstd" else None
        self._plain_bytes = 0

    def add(self, piece: bytes) -> list[bytes]:
        """Take a stored piece; return what is plain already. Raises `Damaged`."""
        if self._hash is not None:
            self._hash.update(piece)
        if self._identities is not None:
            self._sealed.append(piece)
            return []
        return self._plain(piece)

    def finish(self) -> list[bytes]:
        """Return the rest, all checked. Raises `Damaged` and `Denied`."""
        if self._hash is not None and self._hash.hexdigest() != self._entry.sha256:
            raise Damaged(f"{self._what} is damaged: its SHA-256 is not the manifest's")
        rest: list[bytes] = []
        if self._identities is not None:
            for piece in self._identities.open(self._sealed, self._what):
                rest += self._plain(piece)
        whole = self._decompressor is None or self._decompressor.eof
        if not whole or self._plain_bytes != self._entry.plain_bytes:
            raise Damaged(f"{self._what} is damaged: it ends too early")
        return rest

    def _plain(self, piece: bytes) -> list[bytes]:
        pieces = [piece] if self._decompressor is None else self._decompressed(piece)
        self._plain_bytes += sum(map(len, pieces))
        if self._plain_bytes > self._entry.plain_bytes:
            raise Damaged(f"{self._what} is damaged: it holds more than the manifest says")
        return pieces

    def _decompressed(self, piece: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        decompressor = self._decompressor
        try:
            while decompressor is not None and not decompressor.eof:
                part = decompressor.decompress(piece, _DECODED_PIECE_BYTES)
                pieces.append(part)
                if sum(map(len, pieces)) > self._entry.plain_bytes:
                    break  # a few bytes can claim to be terabytes
                piece = b""
                if decompressor.needs_input:
                    break
        except zstd.ZstdError as error:
            raise Damaged(f"{self._what} is damaged: it does not decompress") from error
        return pieces
