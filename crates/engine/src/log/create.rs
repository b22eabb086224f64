//! Making the files of a store whose state is known from the start.

use std::time::Duration;

use super::Identity;
use super::checkpoint_file::CheckpointFile;
use super::failure::{IoFailure, Named};
use super::files::{Files, LOCK, Listing};
use super::identity::random_salt;
use super::pace::Pace;
use super::recovery::{Opened, fresh};
use super::retention::SegmentEntry;
use super::segment::{ActiveSegment, SegmentStart};
use crate::entry::{ImageHead, ImageItem};
use crate::error::OpenError;
use crate::image::ImageOrigin;
use crate::options::{LogLocation, Options};
use crate::role::Standing;
use crate::types::Revision;

/// A store that is being made, in directories that were empty. It is one when it is finished: until
/// then its directories hold a checkpoint that belongs to nothing, and are refused.
#[derive(Debug)]
pub(crate) struct NewStore {
    files: Files,
    origin: ImageOrigin,
    head: ImageHead,
    file: CheckpointFile,
}

impl NewStore {
    /// Takes the directories, which must hold nothing, and begins the checkpoint.
    pub(crate) fn begin(
        location: &LogLocation,
        cluster_id: u64,
        head: ImageHead,
        created_at: Duration,
    ) -> Result<Self, OpenError> {
        let files = Files::lock(location)?;
        for dir in [&location.log_dir, &location.checkpoint_dir] {
            let names = location.vfs.list(dir).named("list", dir)?;
            if names.iter().any(|name| name != LOCK) {
                return Err(OpenError::NotEmpty { path: dir.clone() });
            }
        }
        let identity = Identity { cluster_id, ..Identity::random() };
        let origin = ImageOrigin { identity, created_at };
        let path = files.unfinished_checkpoint_path("restore");
        let file = CheckpointFile::create(&files, path, &origin, &head, Pace::Full)?;
        Ok(Self { files, origin, head, file })
    }

    pub(crate) fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.file.push(item)
    }

    /// Who it will be.
    pub(crate) fn identity(&self) -> Identity {
        self.origin.identity
    }

    /// The checkpoint, the segment behind it, what it is to its peers, and last the identity.
    pub(crate) fn finish(
        mut self,
        options: &Options,
        standing: &Standing,
    ) -> Result<(), IoFailure> {
        let Self { files, origin, head, file } = &mut self;
        file.finish()?;
        files.install(&file.path, &files.checkpoint_path(head.sequence))?;
        let start = SegmentStart {
            identity: origin.identity,
            salt: random_salt(),
            first_sequence: head.sequence + 1,
            revision: head.revision,
            created_at: origin.created_at,
            bytes: options.segment_bytes,
        };
        ActiveSegment::create(files, None, &start)?;
        standing.write(files, origin.identity, origin.created_at)?;
        origin.identity.write(files, origin.created_at)
    }
}

/// Creates a store of nothing: its first segment, then its identity.
pub(super) fn empty(
    options: &Options,
    files: &Files,
    listing: &Listing,
) -> Result<Opened, OpenError> {
    debug_assert!(!listing.has_identity && listing.segments.is_empty());
    let identity = Identity::random();
    let created_at = options.clock.wall();
    let start = SegmentStart {
        identity,
        salt: random_salt(),
        first_sequence: 1,
        revision: Revision(1),
        created_at,
        bytes: options.segment_bytes,
    };
    let active = ActiveSegment::create(files, None, &start)?;
    identity.write(files, created_at)?;
    Ok(Opened {
        identity,
        active,
        segments: vec![SegmentEntry { first_sequence: 1, created_at, bytes: start.bytes }],
        checkpoints: Vec::new(),
        image_bytes: 0,
        replayed_bytes: 0,
        recovered: fresh(),
    })
}
