//! What others may do with a log beside its writer.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use super::failure::IoFailure;
use super::follow::{FollowError, LogFollower};
use super::install::Installation;
use super::pace::Pace;
use super::retention::Shared;
use super::side_file::{self, KeptAside};
use crate::entry::ImageHead;

/// What of the log its followers need. Does not keep the log open.
#[derive(Clone, Debug)]
pub struct Journal(pub(super) Weak<Shared>);

impl Journal {
    /// Follows the log from a sequence number on, which may be the one that comes next.
    pub fn follow(&self, from: u64) -> Result<LogFollower, FollowError> {
        LogFollower::new(&self.0.upgrade().ok_or(FollowError::Closed)?, from)
    }

    /// Keeps the frames from `from` on in a file of their own.
    pub(crate) fn keep_aside(&self, from: u64) -> Result<KeptAside, FollowError> {
        side_file::keep(&self.0.upgrade().ok_or(FollowError::Closed)?, from)
    }

    /// The side files there are; none when the log is closed.
    pub(crate) fn side_files(&self) -> Result<Vec<PathBuf>, IoFailure> {
        self.0.upgrade().map_or(Ok(Vec::new()), |shared| side_file::list(&shared.files))
    }

    /// Begins the file of an image that is to be installed; `None` when the log is closed.
    pub(crate) fn begin_install(
        &self,
        head: &ImageHead,
    ) -> Option<Result<Installation, IoFailure>> {
        Some(Installation::create(self.0.upgrade()?, head))
    }
}

/// Housekeeping of the log, beside the writer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upkeep(pub(super) Arc<Shared>);

impl Upkeep {
    /// Fails when the directories of the log were removed, or replaced: nothing that is written now
    /// is found again.
    pub(crate) fn check_locks(&self) -> Result<(), IoFailure> {
        self.0.files.check_locks()
    }

    /// Removes segments that are covered by a verified checkpoint and past their retention, and
    /// prepares the segment after the current one. An error is worth a log line; the writer finds
    /// out by itself when it matters.
    pub fn run(&self) -> Result<(), IoFailure> {
        // In this order: on a full disk what is removed is the room for the next segment.
        self.0.remove_expired(&Pace::Gentle(Arc::clone(&self.0.clock)))?;
        self.0.prepare_spare()
    }

    /// Whether files are left that there was no time to remove.
    pub(crate) fn has_more(&self) -> bool {
        !self.0.catalog().aside.is_empty()
    }
}
