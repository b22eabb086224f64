//! Putting an image in the place of the state, on disk.
//!
//! The image is written beside everything else, under a name that recovery removes. When it is
//! whole, durable and checked, it gets its final numbers and is renamed to `N.install`, or to
//! `N.reseed`. From that moment it holds. What is left can be done as often as it takes: remove
//! what contradicts it, begin a segment behind it, make it an ordinary checkpoint. Whoever opens a
//! store that has such a file does that first.

use std::path::PathBuf;
use std::sync::Arc;

use super::checkpoint;
use super::checkpoint_file::CheckpointFile;
use super::failure::IoFailure;
use super::files::{Files, Listing, read_header};
use super::header::{FileHeader, FileKind};
use super::identity::random_salt;
use super::pace::Pace;
use super::retention::{SegmentEntry, Shared};
use super::segment::{ActiveSegment, SegmentStart, Spare};
use super::{Identity, Log};
use crate::entry::{ImageHead, ImageItem};
use crate::error::{Error, OpenError};
use crate::image::ImageOrigin;
use crate::options::Options;

/// What becomes of the log before an installed image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogBefore {
    /// It stays as long as any log that a checkpoint covers: one may want back behind a restore.
    /// The image's sequence number is above all of it.
    Kept,
    /// It goes: it may be of another history than the image.
    Removed,
}

/// An image on its way into the store. Dropped before it is installed it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Installation {
    shared: Arc<Shared>,
    file: CheckpointFile,
    bytes: u64,
    named: bool,
}

/// Why an image was not installed.
#[derive(Debug)]
pub(crate) enum NotInstalled {
    /// The log is as it was.
    Unchanged(IoFailure),
    /// It may or may not hold; opening the store tells.
    Latched(Error),
}

impl Installation {
    pub(crate) fn create(shared: Arc<Shared>, head: &ImageHead) -> Result<Self, IoFailure> {
        let number = {
            let mut catalog = shared.catalog();
            catalog.installations += 1;
            catalog.installations
        };
        let path = shared.files.unfinished_checkpoint_path(&format!("install-{number}"));
        let origin = ImageOrigin { identity: shared.identity(), created_at: shared.clock.wall() };
        let file = CheckpointFile::create(&shared.files, path, &origin, head, Pace::Full)?;
        Ok(Self { shared, file, bytes: 0, named: false })
    }

    /// Takes the next item; the head is written by itself.
    pub(crate) fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        self.file.push(item)
    }

    /// Makes all but the final numbers durable.
    pub(crate) fn finish(&mut self) -> Result<(), IoFailure> {
        self.bytes = self.file.finish()?;
        Ok(())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if !self.named {
            // What cannot be removed now is removed when the store is opened again.
            drop(self.shared.files.remove(&self.file.path));
        }
    }
}

impl Log {
    /// Makes a finished image the state as of `head`, and goes on behind it. Nothing is buffered.
    pub(crate) fn install(
        &mut self,
        mut image: Installation,
        identity: Identity,
        head: &ImageHead,
        before: LogBefore,
    ) -> Result<(), NotInstalled> {
        self.refuse_if_latched().map_err(NotInstalled::Latched)?;
        assert_eq!(self.buffered, 0, "an image is installed between two commits");
        let shared = Arc::clone(&self.shared);
        let origin = ImageOrigin { identity, created_at: shared.clock.wall() };
        image.file.rewrite_preface(&origin, head).map_err(NotInstalled::Unchanged)?;
        let _housekeeping = shared.housekeeping();
        let (existing, spare) = {
            let mut catalog = shared.catalog();
            catalog.forget_checkpoint_running();
            // Before anything goes: who reads meanwhile looks behind it.
            catalog.histories_before += u64::from(before == LogBefore::Removed);
            let segments = catalog.segments.iter().map(|segment| segment.first_sequence).collect();
            let checkpoints = catalog.checkpoints.clone();
            (Listing { segments, checkpoints, ..Listing::default() }, catalog.spare.take())
        };
        let start = SegmentStart {
            identity,
            salt: self.active.salt,
            first_sequence: head.sequence + 1,
            revision: head.revision,
            created_at: origin.created_at,
            bytes: shared.segment_bytes,
        };
        // From here on it is not known what holds until all is done.
        image.named = true;
        let pending = shared.files.install_path(head.sequence, before);
        let begun = shared.files.install(&image.file.path, &pending).and_then(|()| {
            settle(&shared.files, &existing, &start, (head.sequence, before), spare)
        });
        self.active = self.latch_on(begun).map_err(NotInstalled::Latched)?;
        shared.set_identity(identity);
        shared.recent.jump(head.sequence);
        self.go_on_behind(head, &start, image.bytes, before);
        // And who began to read in between.
        shared.catalog().histories_before += u64::from(before == LogBefore::Removed);
        Ok(())
    }

    fn go_on_behind(
        &mut self,
        head: &ImageHead,
        start: &SegmentStart,
        image_bytes: u64,
        before: LogBefore,
    ) {
        let written = self.log_bytes();
        self.term = head.term;
        (self.sequence, self.durable_sequence) = (head.sequence, head.sequence);
        (self.revision, self.durable_revision) = (head.revision, head.revision);
        let mut catalog = self.shared.catalog();
        let stays = |sequence: u64| before == LogBefore::Kept && sequence <= head.sequence;
        catalog.segments.retain(|segment| stays(segment.first_sequence));
        catalog.checkpoints.retain(|sequence| stays(*sequence));
        catalog.segments.push(SegmentEntry {
            first_sequence: start.first_sequence,
            created_at: start.created_at,
            bytes: start.bytes,
        });
        catalog.checkpoints.push(head.sequence);
        catalog.image_bytes = image_bytes;
        catalog.checkpoint_at_bytes = written;
        catalog.checkpoint_at_sequence = head.sequence;
    }
}

/// Does what an earlier process left to do of an installation.
pub(crate) fn finish_pending(
    options: &Options,
    files: &Files,
    listing: Listing,
) -> Result<Listing, OpenError> {
    let Some((sequence, before)) = listing.pending_install else { return Ok(listing) };
    let path = files.install_path(sequence, before);
    let file = files.open(&path)?;
    let header = FileHeader::decode(&read_header(&*file, &path)?, FileKind::Checkpoint, &path)?;
    // Nothing is removed for an image that is damaged.
    checkpoint::read(&*file, &path, &header, &mut |_| Ok(()))?;
    let start = SegmentStart {
        identity: header.identity,
        salt: random_salt(),
        first_sequence: sequence + 1,
        revision: header.revision,
        created_at: options.clock.wall(),
        bytes: options.segment_bytes,
    };
    settle(files, &listing, &start, (sequence, before), None)?;
    Ok(files.list()?)
}

/// What is left to do when an image has the name that makes it hold.
fn settle(
    files: &Files,
    existing: &Listing,
    start: &SegmentStart,
    (sequence, before): (u64, LogBefore),
    spare: Option<Spare>,
) -> Result<ActiveSegment, IoFailure> {
    let goes = |other: &&u64| before == LogBefore::Removed || **other > sequence;
    for checkpoint in existing.checkpoints.iter().filter(goes) {
        files.remove(&files.checkpoint_path(*checkpoint))?;
    }
    for segment in existing.segments.iter().filter(goes) {
        files.remove(&files.segment_path(*segment))?;
    }
    files.sync_dirs()?;
    let active = ActiveSegment::create(files, spare, start)?;
    let pending: PathBuf = files.install_path(sequence, before);
    files.install(&pending, &files.checkpoint_path(sequence))?;
    Ok(active)
}
