//! Checkpoints: images of the state that bound how much log is replayed.
//!
//! Written block by block beside the log, under a name that recovery ignores, until it is whole,
//! durable and read back. Layout in `docs/store-format.md`, section 4.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut};

use super::failure::{IoFailure, Named};
use super::files::{UNFINISHED_SUFFIX, read_header, write_header};
use super::header::{FileHeader, FileKind, HEADER_BYTES, nanoseconds};
use super::identity::random_salt;
use super::retention::Shared;
use super::window::Window;
use crate::entry::{ImageHead, ImageItem};
use crate::error::OpenError;
use crate::record::Record;
use crate::types::{LeaseId, Revision};
use crate::vfs::VfsFile;

/// A block is written when it is longer than this.
const BLOCK_BYTES: usize = 256 << 10;
/// Synced every so often, so that the log's own syncs do not wait behind a whole image.
const SYNC_EVERY_BYTES: u64 = 8 << 20;

const BLOCK_HEADER_BYTES: usize = 24;
const BLOCK_OF_ITEMS: u32 = 1;
const BLOCK_END: u32 = 2;

const ITEM_HEAD: u8 = 1;
const ITEM_LEASE: u8 = 2;
const ITEM_PUT: u8 = 3;
const ITEM_TOMBSTONE: u8 = 4;

/// Writes one checkpoint. Dropped before [`CheckpointWriter::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct CheckpointWriter {
    shared: Arc<Shared>,
    head: ImageHead,
    /// Where the log stood, in bytes, when it began.
    log_bytes: u64,
    output: Option<Output>,
}

impl CheckpointWriter {
    pub(crate) fn new(shared: Arc<Shared>, head: ImageHead, log_bytes: u64) -> Self {
        shared.catalog().checkpoint_running = true;
        Self { shared, head, log_bytes, output: None }
    }

    /// Takes the next piece of the image: leases first, then records in key order, of one key the
    /// oldest first. The head is written by itself.
    pub fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.output()?.push(item)
    }

    /// Makes the checkpoint durable, reads it back to verify it, gives it its name, and removes
    /// checkpoints and segments that are no longer kept. Returns its size in bytes. An error leaves
    /// the log as it was: it is no reason to stop writing.
    pub fn finish(mut self) -> Result<u64, IoFailure> {
        let bytes = self.output()?.finish()?;
        if let Some(output) = self.output.take() {
            let installed = self.install(&output, bytes);
            if installed.is_err() {
                self.output = Some(output);
            }
            installed?;
        }
        self.shared.remove_expired()?;
        Ok(bytes)
    }

    fn install(&self, output: &Output, bytes: u64) -> Result<(), IoFailure> {
        let path = self.shared.files.checkpoint_path(self.head.sequence);
        self.shared.files.install(&output.path, &path)?;
        let mut catalog = self.shared.catalog();
        catalog.checkpoints.push(self.head.sequence);
        catalog.image_bytes = bytes;
        Ok(())
    }

    /// The file, made when the first of it is to be written.
    fn output(&mut self) -> Result<&mut Output, IoFailure> {
        if self.output.is_none() {
            self.output = Some(Output::create(&self.shared, &self.head)?);
        }
        Ok(self.output.as_mut().expect("it was just made"))
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if let Some(output) = self.output.take() {
            // What cannot be removed now is removed when the store is opened again.
            drop(self.shared.files.remove(&output.path));
        }
        let mut catalog = self.shared.catalog();
        catalog.checkpoint_running = false;
        catalog.checkpoint_at_bytes = self.log_bytes;
        catalog.checkpoint_at_sequence = self.head.sequence;
    }
}

/// The file of a checkpoint that is being written.
#[derive(Debug)]
struct Output {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    salt: u32,
    offset: u64,
    synced_to: u64,
    /// The block that is being filled, room for its header first.
    block: Vec<u8>,
    block_items: u32,
    blocks: u32,
    items: u64,
}

impl Output {
    fn create(shared: &Shared, head: &ImageHead) -> Result<Self, IoFailure> {
        let mut path = shared.files.checkpoint_path(head.sequence).into_os_string();
        path.push(UNFINISHED_SUFFIX);
        let path = PathBuf::from(path);
        let header = FileHeader {
            kind: FileKind::Checkpoint,
            salt: random_salt(),
            identity: shared.identity,
            sequence: head.sequence,
            revision: head.revision,
            created_at: shared.clock.wall(),
        };
        let mut output = Self {
            file: shared.files.create(&path, 0)?,
            path,
            salt: header.salt,
            offset: HEADER_BYTES as u64,
            synced_to: 0,
            block: vec![0; BLOCK_HEADER_BYTES],
            block_items: 0,
            blocks: 0,
            items: 0,
        };
        write_header(&*output.file, &output.path, &header)?;
        output.push(&ImageItem::Head(*head))?;
        Ok(output)
    }

    fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        encode_item(&mut self.block, item);
        self.block_items += 1;
        self.items += 1;
        if self.block.len() >= BLOCK_BYTES { self.write_block(BLOCK_OF_ITEMS) } else { Ok(()) }
    }

    /// Ends the file and reads it back; returns its length.
    fn finish(&mut self) -> Result<u64, IoFailure> {
        self.write_block(BLOCK_OF_ITEMS)?;
        self.block.put_u64_le(self.items);
        self.write_block(BLOCK_END)?;
        self.file.sync_data().named("sync", &self.path)?;
        self.verify().map_err(std::io::Error::other).named("verify", &self.path)?;
        Ok(self.offset)
    }

    fn verify(&self) -> Result<(), OpenError> {
        let header = read_header(&*self.file, &self.path)?;
        let header = FileHeader::decode(&header, FileKind::Checkpoint, &self.path)?;
        read_blocks(&*self.file, &self.path, &header, &mut |_, _| Ok(())).map(drop)
    }

    fn write_block(&mut self, kind: u32) -> Result<(), IoFailure> {
        let (header, payload) = self.block.split_at_mut(BLOCK_HEADER_BYTES);
        let block = BlockHeader {
            index: self.blocks,
            kind,
            items: self.block_items,
            length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            checksum: crc32c::crc32c(payload),
        };
        header.copy_from_slice(&block.encode(self.salt));
        self.file.write_all_at(self.offset, &self.block).named("write", &self.path)?;
        self.offset += self.block.len() as u64;
        self.blocks += 1;
        self.block_items = 0;
        self.block.truncate(BLOCK_HEADER_BYTES);
        if self.offset - self.synced_to > SYNC_EVERY_BYTES {
            self.file.sync_data().named("sync", &self.path)?;
            self.synced_to = self.offset;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct BlockHeader {
    index: u32,
    kind: u32,
    items: u32,
    length: u32,
    checksum: u32,
}

impl BlockHeader {
    fn encode(&self, salt: u32) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        let (body, mut checksum) = bytes.split_at_mut(BLOCK_HEADER_BYTES - 4);
        let mut out = &mut *body;
        for field in [self.index, self.kind, self.items, self.length, self.checksum] {
            out.put_u32_le(field);
        }
        checksum.put_u32_le(crc32c::crc32c_append(salt, body));
        bytes
    }

    fn decode(salt: u32, bytes: &[u8]) -> Option<Self> {
        let (mut body, mut checksum) = bytes.split_at_checked(BLOCK_HEADER_BYTES - 4)?;
        if checksum.try_get_u32_le().ok()? != crc32c::crc32c_append(salt, body) {
            return None;
        }
        let mut next = || body.try_get_u32_le().ok();
        Some(Self {
            index: next()?,
            kind: next()?,
            items: next()?,
            length: next()?,
            checksum: next()?,
        })
    }
}

/// Reads a checkpoint and hands out its items; returns its length.
pub(crate) fn read(
    file: &dyn VfsFile,
    path: &Path,
    header: &FileHeader,
    take: &mut dyn FnMut(ImageItem) -> Result<(), String>,
) -> Result<u64, OpenError> {
    read_blocks(file, path, header, &mut |mut payload, items| {
        for _ in 0..items {
            let item = decode_item(&mut payload).ok_or("an item is malformed")?;
            take(item)?;
        }
        if payload.is_empty() { Ok(()) } else { Err("a block has bytes after its items".into()) }
    })
}

/// Takes a block's payload and the number of items in it.
type TakeBlock<'a> = dyn FnMut(&[u8], u32) -> Result<(), String> + 'a;

/// Reads a checkpoint and hands out its blocks, with the number of items in each.
fn read_blocks(
    file: &dyn VfsFile,
    path: &Path,
    header: &FileHeader,
    take: &mut TakeBlock<'_>,
) -> Result<u64, OpenError> {
    let mut window = Window::new(file);
    let mut offset = HEADER_BYTES as u64;
    let mut items = 0;
    for index in 0.. {
        let corrupt = |reason: String| OpenError::Corrupt { path: path.to_owned(), offset, reason };
        let bytes = window.at(offset, BLOCK_HEADER_BYTES).named("read", path)?;
        let block = BlockHeader::decode(header.salt, bytes)
            .filter(|block| block.index == index)
            .ok_or_else(|| corrupt(format!("the header of block {index} is damaged")))?;
        let length = block.length as usize;
        let bytes = window.at(offset, BLOCK_HEADER_BYTES + length).named("read", path)?;
        let payload = bytes
            .get(BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + length)
            .filter(|payload| crc32c::crc32c(payload) == block.checksum)
            .ok_or_else(|| corrupt(format!("block {index} is damaged")))?;
        if block.kind == BLOCK_END {
            let total = payload.first_chunk().copied().map(u64::from_le_bytes);
            if total != Some(items) {
                return Err(corrupt("items are missing".into()));
            }
            offset += (BLOCK_HEADER_BYTES + length) as u64;
            break;
        }
        take(payload, block.items).map_err(corrupt)?;
        items += u64::from(block.items);
        offset += (BLOCK_HEADER_BYTES + length) as u64;
    }
    if !window.at(offset, 1).named("read", path)?.is_empty() {
        let reason = "something follows the end".to_owned();
        return Err(OpenError::Corrupt { path: path.to_owned(), offset, reason });
    }
    Ok(offset)
}

fn encode_item(out: &mut Vec<u8>, item: &ImageItem) {
    match item {
        ImageItem::Head(head) => {
            out.put_u8(ITEM_HEAD);
            out.put_u64_le(head.sequence);
            out.put_u64_le(head.term);
            out.put_i64_le(head.revision.0);
            out.put_i64_le(head.compact_revision.0);
        }
        ImageItem::Lease { id, ttl_s, expires_at } => {
            out.put_u8(ITEM_LEASE);
            out.put_i64_le(id.0);
            out.put_i64_le(*ttl_s);
            out.put_u64_le(nanoseconds(*expires_at));
        }
        ImageItem::Record(record) => {
            let message = record.message();
            out.put_u8(if record.is_tombstone() { ITEM_TOMBSTONE } else { ITEM_PUT });
            out.put_i64_le(record.mod_revision().0);
            out.put_u32_le(record.sub_revision());
            out.put_u32_le(u32::try_from(message.len()).unwrap_or(u32::MAX));
            out.extend_from_slice(message);
        }
    }
}

fn decode_item(input: &mut &[u8]) -> Option<ImageItem> {
    match input.try_get_u8().ok()? {
        ITEM_HEAD => Some(ImageItem::Head(ImageHead {
            sequence: input.try_get_u64_le().ok()?,
            term: input.try_get_u64_le().ok()?,
            revision: Revision(input.try_get_i64_le().ok()?),
            compact_revision: Revision(input.try_get_i64_le().ok()?),
        })),
        ITEM_LEASE => Some(ImageItem::Lease {
            id: LeaseId(input.try_get_i64_le().ok()?),
            ttl_s: input.try_get_i64_le().ok()?,
            expires_at: Duration::from_nanos(input.try_get_u64_le().ok()?),
        }),
        kind @ (ITEM_PUT | ITEM_TOMBSTONE) => {
            let revision = Revision(input.try_get_i64_le().ok()?);
            let sub_revision = input.try_get_u32_le().ok()?;
            let length = input.try_get_u32_le().ok()?;
            let (message, rest) = input.split_at_checked(length as usize)?;
            *input = rest;
            Record::decode(revision, sub_revision, kind == ITEM_TOMBSTONE, message)
                .map(ImageItem::Record)
        }
        _ => None,
    }
}

/// A block's header and an item of each kind.
#[cfg(test)]
pub(crate) fn sample() -> Vec<u8> {
    let block = BlockHeader { index: 1, kind: BLOCK_END, items: 2, length: 3, checksum: 4 };
    let mut bytes = block.encode(5).to_vec();
    let head =
        ImageHead { sequence: 6, term: 7, revision: Revision(8), compact_revision: Revision(-1) };
    encode_item(&mut bytes, &ImageItem::Head(head));
    let expires_at = Duration::from_nanos(10);
    encode_item(&mut bytes, &ImageItem::Lease { id: LeaseId(9), ttl_s: 60, expires_at });
    encode_item(&mut bytes, &ImageItem::Record(Record::tombstone(b"gone", Revision(8), 2)));
    let kept = Record::decode(Revision(8), 1, false, b"\x0a\x01k\x10\x08\x18\x08\x20\x01");
    encode_item(&mut bytes, &ImageItem::Record(kept.unwrap()));
    bytes
}
