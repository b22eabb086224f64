//! An image that somebody outside takes, piece by piece.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::encoder::{ImageEncoder, ImageOrigin};
use super::walk::{Extent, Walk, WalkEnd};
use crate::entry::{ImageHead, ImageItem};
use crate::error::Error;
use crate::store::Store;

/// The store at one revision, as bytes. Holds no more of them than are asked for at once; while it
/// is open compactions drop nothing that it has yet to read.
pub struct Image {
    store: Arc<Store>,
    head: ImageHead,
    encoder: ImageEncoder,
    /// Read from the state, not yet encoded.
    items: VecDeque<ImageItem>,
    /// Until everything was read.
    walk: Option<Walk>,
}

impl Image {
    pub(crate) fn open(store: &Arc<Store>, history: bool) -> Result<Self, Error> {
        let extent = if history { Extent::History } else { Extent::Live };
        let walk = Walk::begin(store, &store.state.read(), extent)?;
        let head = *walk.head();
        let created_at = store.clock.wall();
        let origin = ImageOrigin { identity: store.identity(), created_at };
        Ok(Self {
            store: Arc::clone(store),
            head,
            encoder: ImageEncoder::new(&origin, &head),
            items: VecDeque::new(),
            walk: Some(walk),
        })
    }

    /// Its numbers.
    #[must_use]
    pub fn head(&self) -> &ImageHead {
        &self.head
    }

    /// The next bytes, about `bytes_max` of them; none behind the end.
    pub fn take(&mut self, bytes_max: usize) -> Result<Vec<u8>, Error> {
        self.take_for(Vec::new(), bytes_max)
    }

    /// The same in exchange for space that was taken before.
    pub fn take_for(&mut self, space: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, Error> {
        self.store.check_open()?;
        while self.encoder.ready_bytes() < bytes_max.max(1) {
            if let Some(item) = self.items.pop_front() {
                self.encoder.push(&item);
                continue;
            }
            let Some(walk) = &mut self.walk else { break };
            if let Some(items) = walk.next(&self.store)? {
                self.items = items.into();
            } else {
                self.walk = None;
                self.encoder.finish();
            }
        }
        Ok(self.encoder.take_for(space))
    }
}

impl From<WalkEnd> for Error {
    fn from(end: WalkEnd) -> Self {
        let reason = match end {
            WalkEnd::TooMany => return Self::TooManyRequests,
            WalkEnd::HalfDone => "a panic ended a change of the store in its middle",
            WalkEnd::GivenUp => "nobody read from it for too long",
            WalkEnd::Replaced => "the store was replaced by a restore",
        };
        Self::ImageLost { reason }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("head", &self.head).finish_non_exhaustive()
    }
}
