//! From the bytes of an image to its items.

use std::fmt;
use std::sync::Arc;

use super::block::BlockReader;
use super::encoder::ImageOrigin;
use super::item::decode_item;
use super::order::ItemOrder;
use crate::entry::{ImageHead, ImageItem};
use crate::log::{BadHeader, FileHeader, FileKind, HEADER_BYTES};
use crate::record::Record;
use crate::store::Store;

/// Items decoded before the writer of a store that is shared with is let in.
const SLICE_ITEMS: u32 = 1_024;

/// Why bytes are no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Changed, cut short, or never one.
    #[error("the image is damaged at byte {offset}: {reason}")]
    Damaged {
        /// Of the block, or the header.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Written by a newer version.
    #[error("the image has format version {found}, this program reads up to {supported}")]
    Newer {
        /// The image's.
        found: u32,
        /// The newest that is read.
        supported: u32,
    },
}

/// Reads an image, piece by piece, and checks all of it.
///
/// What it hands out before [`ImageDecoder::finish`] is whole by itself, but only then is it known
/// that nothing is missing.
#[derive(Default)]
pub struct ImageDecoder {
    /// Bytes of a header that is not all there yet.
    start: Vec<u8>,
    header: Option<FileHeader>,
    blocks: Option<BlockReader>,
    order: ItemOrder,
    /// Whose records are taken where they are the image's.
    store: Option<Arc<Store>>,
}

impl ImageDecoder {
    /// For a new image.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For an image that takes the place of a store's state: a record that the store has already,
    /// byte for byte, is handed out itself instead of a copy. Most of an image mostly is.
    pub(crate) fn sharing_with(store: &Arc<Store>) -> Self {
        Self { store: Some(Arc::clone(store)), ..Self::default() }
    }

    /// For the blocks behind a header that was read already.
    pub(crate) fn behind(header: &FileHeader) -> Self {
        let blocks = BlockReader::new(header.salt, HEADER_BYTES as u64);
        Self { blocks: Some(blocks), header: Some(*header), ..Self::default() }
    }

    /// Takes what is missing of the header; returns the bytes behind it.
    pub(crate) fn begin<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ImageError> {
        if self.blocks.is_some() {
            return Ok(bytes);
        }
        let missing = HEADER_BYTES.saturating_sub(self.start.len()).min(bytes.len());
        let (head, behind) = bytes.split_at(missing);
        self.start.extend_from_slice(head);
        if self.start.len() == HEADER_BYTES {
            let header = FileHeader::parse(&self.start, FileKind::Checkpoint)?;
            self.blocks = Some(BlockReader::new(header.salt, HEADER_BYTES as u64));
            self.header = Some(header);
        }
        Ok(behind)
    }

    /// Takes the next bytes, however many, and hands out the items that they complete. An error of
    /// `take` is damage at its block.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        take: &mut dyn FnMut(ImageItem) -> Result<(), String>,
    ) -> Result<(), ImageError> {
        let rest = self.begin(bytes)?;
        let Self { blocks: Some(blocks), order, store, .. } = self else { return Ok(()) };
        let mut slice = Vec::new();
        blocks.feed(rest, &mut |mut payload, items| {
            for first in (0..items).step_by(SLICE_ITEMS as usize) {
                let count = SLICE_ITEMS.min(items - first);
                decode_slice(&mut payload, count, store.as_deref(), &mut slice)?;
                for item in slice.drain(..) {
                    order.check(&item)?;
                    take(item)?;
                }
            }
            if payload.is_empty() {
                Ok(())
            } else {
                Err("a block has bytes after its items".into())
            }
        })
    }

    /// Takes the next bytes and checks the blocks that they complete, but not what is in them.
    pub(crate) fn skim(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let rest = self.begin(bytes)?;
        self.blocks.as_mut().map_or(Ok(()), |blocks| blocks.feed(rest, &mut |_, _| Ok(())))
    }

    /// Whose image it is, once its header was read.
    #[must_use]
    pub fn origin(&self) -> Option<ImageOrigin> {
        let FileHeader { identity, created_at, .. } = self.header?;
        Some(ImageOrigin { identity, created_at })
    }

    /// Its numbers, once they were read.
    #[must_use]
    pub fn head(&self) -> Option<ImageHead> {
        self.order.head()
    }

    /// Nothing follows: refuses an image that is cut short. Returns its length in bytes.
    pub fn finish(&self) -> Result<u64, ImageError> {
        let bytes = self.finish_skimming()?;
        self.head().map(|_| bytes).ok_or_else(|| damaged_at_start("it has no head"))
    }

    /// The same where its items were not looked at.
    pub(crate) fn finish_skimming(&self) -> Result<u64, ImageError> {
        let blocks = self.blocks.as_ref();
        blocks.ok_or_else(|| damaged_at_start("the header is cut short"))?.finish()
    }
}

impl fmt::Debug for ImageDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { header, blocks, .. } = self;
        f.debug_struct("ImageDecoder").field("header", header).field("blocks", blocks).finish()
    }
}

/// Decodes so many items, and lets the store's lock go before anybody takes them.
fn decode_slice(
    payload: &mut &[u8],
    count: u32,
    store: Option<&Store>,
    items: &mut Vec<ImageItem>,
) -> Result<(), String> {
    let state = store.map(|store| store.state.read());
    let mut near = None;
    let mut record = |revision, sub_revision, tombstone, message: &[u8]| {
        let order = (revision, sub_revision);
        let known = state.as_ref().and_then(|state| state.same_version(order, message, &mut near));
        known.cloned().or_else(|| Record::decode(revision, sub_revision, tombstone, message))
    };
    for _ in 0..count {
        items.push(decode_item(payload, &mut record).ok_or("an item is malformed")?);
    }
    Ok(())
}

fn damaged_at_start(reason: &str) -> ImageError {
    ImageError::Damaged { offset: 0, reason: reason.to_owned() }
}

impl From<BadHeader> for ImageError {
    fn from(bad: BadHeader) -> Self {
        match bad {
            BadHeader::Damaged(reason) => damaged_at_start(reason),
            BadHeader::Newer { found, supported } => Self::Newer { found, supported },
        }
    }
}
