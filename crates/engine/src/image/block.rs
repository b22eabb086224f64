//! Blocks: what an image is cut into, each with a checksum of its own.

use bytes::{Buf, BufMut};

use super::decoder::ImageError;
use crate::log::ENTRY_BYTES_MAX;

pub(crate) const BLOCK_HEADER_BYTES: usize = 24;
pub(crate) const BLOCK_OF_ITEMS: u32 = 1;
pub(crate) const BLOCK_END: u32 = 2;

/// A block ends with the item that makes it longer than this.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;
/// So a longer block than that with one more item, however large, is none of ours.
const PAYLOAD_BYTES_MAX: usize = ENTRY_BYTES_MAX + BLOCK_BYTES;

#[derive(Debug)]
pub(crate) struct BlockHeader {
    pub(crate) index: u32,
    pub(crate) kind: u32,
    pub(crate) items: u32,
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

impl BlockHeader {
    pub(crate) fn encode(&self, salt: u32) -> [u8; BLOCK_HEADER_BYTES] {
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

/// Takes a block's payload and the number of items in it.
pub(crate) type TakeBlock<'a> = dyn FnMut(&[u8], u32) -> Result<(), String> + 'a;

/// Cuts what comes behind an image's header into blocks and checks them. Fed with pieces of any
/// length; holds at most one block.
#[derive(Debug)]
pub(crate) struct BlockReader {
    salt: u32,
    /// The beginning of a block.
    buffer: Vec<u8>,
    /// Where the next block starts in the image.
    offset: u64,
    blocks: u32,
    items: u64,
    ended: bool,
}

/// What stands at a place where a block should be.
enum Found {
    /// One of that length, which was handed out.
    Block { bytes: usize },
    /// Less than one: it takes at least so many more to go on.
    Missing { bytes: usize },
}

impl BlockReader {
    /// `offset` is where the blocks begin.
    pub(crate) fn new(salt: u32, offset: u64) -> Self {
        Self { salt, buffer: Vec::new(), offset, blocks: 0, items: 0, ended: false }
    }

    /// Takes the next bytes and hands out the blocks that they complete. Only what is not a whole
    /// block is copied.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        take: &mut TakeBlock<'_>,
    ) -> Result<(), ImageError> {
        let mut rest = bytes;
        while !self.buffer.is_empty() {
            let mut buffer = std::mem::take(&mut self.buffer);
            match self.next_block(&buffer, take)? {
                Found::Block { .. } => buffer.clear(),
                Found::Missing { bytes } => {
                    let (more, behind) = rest.split_at(bytes.min(rest.len()));
                    buffer.extend_from_slice(more);
                    rest = behind;
                    if more.len() < bytes {
                        self.buffer = buffer;
                        return Ok(());
                    }
                }
            }
            self.buffer = buffer;
        }
        while let Found::Block { bytes } = self.next_block(rest, take)? {
            rest = rest.get(bytes..).unwrap_or_default();
        }
        self.buffer.extend_from_slice(rest);
        Ok(())
    }

    /// Nothing follows. Returns the length of the whole image.
    pub(crate) fn finish(&self) -> Result<u64, ImageError> {
        if self.ended { Ok(self.offset) } else { Err(self.damaged("it is cut short")) }
    }

    /// Hands out the block that starts here, if it is all there.
    fn next_block(&mut self, bytes: &[u8], take: &mut TakeBlock<'_>) -> Result<Found, ImageError> {
        let missing = |length: usize| Found::Missing { bytes: length - bytes.len() };
        if bytes.is_empty() {
            return Ok(missing(BLOCK_HEADER_BYTES));
        }
        if self.ended {
            return Err(self.damaged("something follows the end"));
        }
        let Some(header) = bytes.get(..BLOCK_HEADER_BYTES) else {
            return Ok(missing(BLOCK_HEADER_BYTES));
        };
        let index = self.blocks;
        let header = BlockHeader::decode(self.salt, header)
            .filter(|header| header.index == index && header.length as usize <= PAYLOAD_BYTES_MAX)
            .ok_or_else(|| self.damaged(&format!("the header of block {index} is damaged")))?;
        let length = BLOCK_HEADER_BYTES + header.length as usize;
        let Some(payload) = bytes.get(BLOCK_HEADER_BYTES..length) else {
            return Ok(missing(length));
        };
        if crc32c::crc32c(payload) != header.checksum {
            return Err(self.damaged(&format!("block {index} is damaged")));
        }
        match header.kind {
            BLOCK_OF_ITEMS => take(payload, header.items).map_err(|why| self.damaged(&why))?,
            BLOCK_END if payload == self.items.to_le_bytes() => self.ended = true,
            BLOCK_END => return Err(self.damaged("items are missing")),
            other => return Err(self.damaged(&format!("block {index} is of unknown kind {other}"))),
        }
        self.items += u64::from(header.items);
        self.blocks += 1;
        self.offset += length as u64;
        Ok(Found::Block { bytes: length })
    }

    fn damaged(&self, reason: &str) -> ImageError {
        ImageError::Damaged { offset: self.offset, reason: reason.to_owned() }
    }
}
