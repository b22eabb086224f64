//! From items to the bytes of an image.

use std::time::Duration;

use bytes::BufMut;

use super::block::{BLOCK_BYTES, BLOCK_END, BLOCK_HEADER_BYTES, BLOCK_OF_ITEMS, BlockHeader};
use super::item::{HEAD_BYTES, encode_item};
use super::space::Space;
use crate::entry::{ImageHead, ImageItem};
use crate::log::{FileHeader, FileKind, HEADER_BYTES, Identity, random_salt};
use crate::vfs::DISK_BLOCK_BYTES;

/// Header and head: what is known last when an image is installed, and so can be written last.
pub(crate) const PREFACE_BYTES: usize = HEADER_BYTES + BLOCK_HEADER_BYTES + HEAD_BYTES;

/// Space that is kept, or made at once. That of larger values is given back.
const OUT_BYTES_KEPT: usize = 4 << 20;

/// Whose image it is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageOrigin {
    /// The store's.
    pub identity: Identity,
    /// Wall time; what a lease has left counts from here.
    pub created_at: Duration,
}

/// Makes an image out of its head, then leases, then records in key order, of one key the oldest
/// first. Knows no files: what is ready is taken and put where it belongs.
#[derive(Debug)]
pub struct ImageEncoder {
    salt: u32,
    /// Whole blocks, then the one that is being filled.
    out: Space,
    /// Where that one begins.
    block_at: usize,
    block_items: u32,
    blocks: u32,
    items: u64,
}

impl ImageEncoder {
    /// Begins an image: header and head are ready at once.
    #[must_use]
    pub fn new(origin: &ImageOrigin, head: &ImageHead) -> Self {
        let salt = random_salt();
        let out = preface(origin, head, salt).into();
        let mut encoder = Self { salt, out, block_at: 0, block_items: 0, blocks: 1, items: 1 };
        encoder.begin_block();
        encoder
    }

    /// Adds an item. The head is no more than the one given at the beginning.
    pub fn push(&mut self, item: &ImageItem) {
        encode_item(self.out.vec(), item);
        self.block_items += 1;
        self.items += 1;
        if self.out.bytes().len() - self.block_at >= BLOCK_HEADER_BYTES + BLOCK_BYTES {
            self.end_block(BLOCK_OF_ITEMS);
        }
    }

    /// Ends the image; nothing may be pushed any more.
    pub fn finish(&mut self) {
        if self.block_items > 0 {
            self.end_block(BLOCK_OF_ITEMS);
        }
        self.out.vec().put_u64_le(self.items);
        self.end_block(BLOCK_END);
        self.out.truncate(self.block_at);
    }

    /// Bytes that can be taken.
    #[must_use]
    pub fn ready_bytes(&self) -> usize {
        self.block_at
    }

    /// Takes what is ready: whole blocks.
    pub fn take(&mut self) -> Vec<u8> {
        self.take_for(Vec::new())
    }

    /// The same in exchange for space that was taken before.
    pub(crate) fn take_for(&mut self, mut space: Vec<u8>) -> Vec<u8> {
        space.clear();
        space.shrink_to(OUT_BYTES_KEPT);
        // The next taken will be as much again.
        space.reserve(self.out.bytes().len().min(OUT_BYTES_KEPT));
        self.take_up_to(self.block_at, space.into()).into()
    }

    /// Takes what is ready as far as it fills a disk's blocks, or all of it when nothing follows.
    /// `space` is empty, and what comes next is put there.
    pub(crate) fn take_disk_blocks(&mut self, space: Space) -> Space {
        let last = self.out.bytes().len() == self.block_at;
        let whole = self.block_at - self.block_at % DISK_BLOCK_BYTES;
        self.take_up_to(if last { self.block_at } else { whole }, space).aligned()
    }

    fn take_up_to(&mut self, bytes: usize, mut space: Space) -> Space {
        space.vec().extend_from_slice(self.out.bytes().get(bytes..).unwrap_or_default());
        self.out.truncate(bytes);
        self.block_at -= bytes;
        std::mem::replace(&mut self.out, space)
    }

    /// By which the blocks' checksums are salted.
    pub(crate) fn salt(&self) -> u32 {
        self.salt
    }

    fn begin_block(&mut self) {
        self.block_at = self.out.bytes().len();
        self.out.vec().extend_from_slice(&[0; BLOCK_HEADER_BYTES]);
    }

    fn end_block(&mut self, kind: u32) {
        let block = self.out.bytes_mut().get_mut(self.block_at..).unwrap_or_default();
        seal(block, self.salt, (kind, self.blocks, self.block_items));
        self.blocks += 1;
        self.block_items = 0;
        self.begin_block();
    }
}

/// What an image begins with: its header, and the head in a block of its own.
pub(crate) fn preface(origin: &ImageOrigin, head: &ImageHead, salt: u32) -> Vec<u8> {
    let header = FileHeader {
        kind: FileKind::Checkpoint,
        salt,
        identity: origin.identity,
        sequence: head.sequence,
        revision: head.revision,
        created_at: origin.created_at,
    };
    let mut out = header.encode().to_vec();
    out.extend_from_slice(&[0; BLOCK_HEADER_BYTES]);
    encode_item(&mut out, &ImageItem::Head(*head));
    seal(out.get_mut(HEADER_BYTES..).unwrap_or_default(), salt, (BLOCK_OF_ITEMS, 0, 1));
    out
}

/// Fills in the header of a block.
fn seal(block: &mut [u8], salt: u32, (kind, index, items): (u32, u32, u32)) {
    let Some((header, payload)) = block.split_at_mut_checked(BLOCK_HEADER_BYTES) else { return };
    let block = BlockHeader {
        index,
        kind,
        items,
        length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        checksum: crc32c::crc32c(payload),
    };
    header.copy_from_slice(&block.encode(salt));
}
