//! Putting an image in the place of the state while the store runs.
//!
//! The bytes are decoded, checked and written beside the store, and the new state is built from
//! them, while the old one is read and written as ever. Then the writer, between two groups, gives
//! the image its final numbers, makes it hold on disk ([`crate::log`]), and swaps the state. All
//! watches are told that what they wanted is compacted. Writes that come meanwhile wait in the
//! queue and are evaluated against the new state.

mod installer;
mod numbers;
mod promotion;
mod sink;

pub use installer::Installer;

pub(crate) use numbers::{Purpose, plan_head};

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use crate::entry::ImageHead;
use crate::error::Error;
use crate::image::ImageError;
use crate::log::{Installation, IoFailure};
use crate::state::State;
use crate::types::Revision;

/// What an image is installed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallMode {
    /// The store goes back to what was live in the image, at a revision above all that it ever
    /// handed out; what was before that is compacted. Leases go on with what they had left when the
    /// image was made.
    Restore,
    /// A standby becomes what the image is of: history, numbers and cluster.
    Reseed,
}

/// Where the store stands after an image was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The store's revision.
    pub revision: Revision,
    /// The last sequence number; the log goes on behind it.
    pub sequence: u64,
    /// The term of the log.
    pub term: u64,
}

/// Why an image was not installed. Nothing was changed, except with [`Error::Latched`]: then the
/// image may hold when the store is opened again.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The bytes are no whole image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image cannot be written beside the store.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The store takes none.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The state that was to get new numbers was changed meanwhile.
    #[error("the store was written to meanwhile; try again when nothing writes")]
    Moved,
    /// This standby heard of another term than the image's primary is of.
    #[error("another term began meanwhile; take an image of its primary")]
    Overtaken,
}

/// An image that is whole, as the writer gets it.
pub(crate) struct Install {
    pub(crate) purpose: Purpose,
    pub(crate) head: ImageHead,
    /// Of the store that the image is of.
    pub(crate) cluster_id: u64,
    pub(crate) state: State,
    /// When it began to come, on the monotonic clock.
    pub(crate) begun: Duration,
    /// Of a store with a log.
    pub(crate) file: Option<Installation>,
    pub(crate) reply: SyncSender<Result<Replaced, InstallError>>,
}

/// What the writer answers: the old state comes along, so that it is not the writer that drops it.
pub(crate) struct Replaced {
    pub(crate) now: Installed,
    pub(crate) before: State,
}

impl std::fmt::Debug for Install {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { purpose, head, .. } = self;
        f.debug_struct("Install").field("purpose", purpose).field("head", head).finish()
    }
}
