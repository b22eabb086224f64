//! From the bytes of an image to its items.

use super::block::BlockReader;
use super::encoder::ImageOrigin;
use super::item::decode_item;
use super::order::ItemOrder;
use crate::entry::{ImageHead, ImageItem};
use crate::log::{BadHeader, FileHeader, FileKind, HEADER_BYTES};

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
#[derive(Debug, Default)]
pub struct ImageDecoder {
    /// Bytes of a header that is not all there yet.
    start: Vec<u8>,
    header: Option<FileHeader>,
    blocks: Option<BlockReader>,
    order: ItemOrder,
}

impl ImageDecoder {
    /// For a new image.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
        let Self { blocks: Some(blocks), order, .. } = self else { return Ok(()) };
        blocks.feed(rest, &mut |mut payload, items| {
            for _ in 0..items {
                let item = decode_item(&mut payload).ok_or("an item is malformed")?;
                order.check(&item)?;
                take(item)?;
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
