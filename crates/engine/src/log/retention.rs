//! What the writer, checkpoints and upkeep know together, and how long files are kept.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::Identity;
use super::failure::IoFailure;
use super::files::Files;
use super::recent::Recent;
use super::segment::Spare;
use crate::clock::Clock;
use crate::options::Options;

/// Log that few, long entries make is not let grow beyond this many times what is due.
const PUT_OFF_FACTOR: u64 = 4;

/// A store that is closed writes another image unless it is this many times the log behind the last
/// one: a byte of log takes longer to replay than one of an image.
const IMAGE_PER_LOG: u64 = 4;

/// Shared by everything that works on an open log.
pub(crate) struct Shared {
    pub(crate) files: Files,
    identity: Mutex<Identity>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) segment_bytes: u64,
    checkpoint_bytes_min: u64,
    checkpoint_entries_min: u64,
    checkpoints_kept: usize,
    log_retention: Duration,
    log_retention_bytes: u64,
    covered_segments_max: usize,
    /// Held over the IO of preparing and removing files; taken before the catalog.
    housekeeping: Mutex<()>,
    /// Held for moments only, never over IO.
    catalog: Mutex<Catalog>,
    /// How many read segments to whose end they must come. Changed with housekeeping held.
    segment_readers: AtomicUsize,
    /// Nobody writes any more: who waits now waits for the rest to end.
    pub(crate) is_closing: AtomicBool,
    /// A leaf too, held while a commit is copied.
    pub(crate) recent: Recent,
}

/// Which files there are, and how far the log has grown.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// In order; the last is the one that is written.
    pub(crate) segments: Vec<SegmentEntry>,
    /// Sequence numbers of the checkpoints, in order.
    pub(crate) checkpoints: Vec<u64>,
    /// A file for the next segment, and how many were ever made.
    pub(crate) spare: Option<Spare>,
    pub(crate) spares_made: u64,
    /// Files that were put aside and are to be removed.
    pub(crate) aside: Vec<PathBuf>,
    pub(crate) checkpoint_running: bool,
    /// Where the log stood, in bytes since the recovered checkpoint, when the last one began.
    pub(crate) checkpoint_at_bytes: u64,
    /// The sequence number then.
    pub(crate) checkpoint_at_sequence: u64,
    /// Bytes of the last checkpoint.
    pub(crate) image_bytes: u64,
    /// How often the state was replaced, so that a checkpoint of the one before is thrown away.
    pub(crate) epoch: u64,
    /// How many histories the log had before this one: who follows it follows one.
    pub(crate) histories_before: u64,
    /// How many images were ever begun to be installed.
    pub(crate) installations: u64,
}

impl Catalog {
    /// The state is being replaced: what is written of it is worth nothing.
    pub(crate) fn forget_checkpoint_running(&mut self) {
        self.epoch += 1;
        self.checkpoint_running = false;
    }
}

/// One segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEntry {
    pub(crate) first_sequence: u64,
    pub(crate) created_at: Duration,
    pub(crate) bytes: u64,
}

impl Shared {
    pub(crate) fn new(
        files: Files,
        identity: Identity,
        options: &Options,
        catalog: Catalog,
        durable_sequence: u64,
    ) -> Self {
        Self {
            files,
            identity: Mutex::new(identity),
            clock: Arc::clone(&options.clock),
            segment_bytes: options.segment_bytes,
            checkpoint_bytes_min: options.checkpoint_bytes_min,
            checkpoint_entries_min: options.checkpoint_entries_min,
            checkpoints_kept: options.checkpoints_kept.max(1),
            log_retention: options.log_retention,
            log_retention_bytes: options.log_retention_bytes,
            covered_segments_max: options.covered_segments_max.unwrap_or(usize::MAX),
            housekeeping: Mutex::new(()),
            catalog: Mutex::new(catalog),
            segment_readers: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
            recent: Recent::new(durable_sequence),
        }
    }

    /// Changes when the image of another store is installed.
    pub(crate) fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    pub(crate) fn set_identity(&self, identity: Identity) {
        *self.identity.lock() = identity;
    }

    /// Held over the IO of whatever names or removes files beside the writer.
    pub(crate) fn housekeeping(&self) -> MutexGuard<'_, ()> {
        self.housekeeping.lock()
    }

    /// Lets no segment be removed as long as it lives.
    pub(crate) fn hold_segments(&self, _housekeeping: &MutexGuard<'_, ()>) -> HeldSegments<'_> {
        self.segment_readers.fetch_add(1, Ordering::Relaxed);
        HeldSegments(self)
    }

    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock()
    }

    /// Whether the log, at these bytes and this sequence number, is due for a checkpoint of a state
    /// of about `state_bytes`.
    ///
    /// A growing state is written each time that its log is as long as the last image. One that a
    /// compaction made small is soon written, and there was as much log as that will take.
    pub(crate) fn checkpoint_due(&self, log_bytes: u64, sequence: u64, state_bytes: u64) -> bool {
        let catalog = self.catalog();
        !catalog.checkpoint_running
            && self.has_grown(&catalog, (log_bytes, sequence), (state_bytes, 1))
    }

    /// Whether a log that ends there takes long to replay, beside reading the image.
    pub(crate) fn checkpoint_saves_time(
        &self,
        log_bytes: u64,
        sequence: u64,
        state_bytes: u64,
    ) -> bool {
        let catalog = self.catalog();
        self.has_grown(&catalog, (log_bytes, sequence), (state_bytes, IMAGE_PER_LOG))
    }

    /// Whether the log has grown by as much since the last checkpoint as that one took, or the next
    /// one will, divided by `share`; and enough for any.
    fn has_grown(
        &self,
        catalog: &Catalog,
        (log_bytes, sequence): (u64, u64),
        (state_bytes, share): (u64, u64),
    ) -> bool {
        let by = catalog.image_bytes.min(state_bytes) / share;
        let grown = log_bytes.saturating_sub(catalog.checkpoint_at_bytes);
        let entries = sequence.saturating_sub(catalog.checkpoint_at_sequence);
        let due = self.checkpoint_bytes_min.max(by);
        let put_off = entries < self.checkpoint_entries_min && grown / PUT_OFF_FACTOR <= due;
        grown > due && !put_off
    }

    /// Makes a file for the next segment, if there is none.
    pub(crate) fn prepare_spare(&self) -> Result<(), IoFailure> {
        let _housekeeping = self.housekeeping.lock();
        let number = {
            let mut catalog = self.catalog();
            if catalog.spare.is_some() {
                return Ok(());
            }
            catalog.spares_made += 1;
            catalog.spares_made
        };
        let spare = Spare::create(&self.files, &format!("spare-{number}"), self.segment_bytes)?;
        self.catalog().spare = Some(spare);
        Ok(())
    }

    /// The checkpoints and segments that are no longer kept, by their numbers, the oldest first.
    /// Called with housekeeping held.
    pub(crate) fn plan_expired(&self) -> (Vec<u64>, Vec<u64>) {
        let catalog = self.catalog();
        let is_held = self.segment_readers.load(Ordering::Relaxed) > 0;
        let segments = || self.plan_expired_segments(&catalog, self.clock.wall());
        let segments = if is_held { Vec::new() } else { segments() };
        (self.plan_expired_checkpoints(&catalog), segments)
    }

    fn plan_expired_segments(&self, catalog: &Catalog, now: Duration) -> Vec<u64> {
        let newest_checkpoint = catalog.checkpoints.last().copied().unwrap_or(0);
        // A segment ends where the next one starts.
        let ends = catalog.segments.iter().zip(catalog.segments.iter().skip(1));
        let covered: Vec<_> = ends
            .take_while(|(_, next)| next.first_sequence <= newest_checkpoint + 1)
            .map(|(segment, next)| (segment.first_sequence, segment.bytes, next.created_at))
            .collect();
        let (mut kept, mut kept_bytes) = (0, 0_u64);
        let mut expired: Vec<_> = covered
            .into_iter()
            .rev()
            .skip_while(|(_, bytes, ended_at)| {
                kept += 1;
                kept_bytes = kept_bytes.saturating_add(*bytes);
                now.saturating_sub(*ended_at) <= self.log_retention
                    && kept_bytes <= self.log_retention_bytes
                    && kept <= self.covered_segments_max
            })
            .map(|(first_sequence, ..)| first_sequence)
            .collect();
        expired.reverse();
        expired
    }

    fn plan_expired_checkpoints(&self, catalog: &Catalog) -> Vec<u64> {
        let count = catalog.checkpoints.len().saturating_sub(self.checkpoints_kept);
        catalog.checkpoints.iter().take(count).copied().collect()
    }
}

/// See [`Shared::hold_segments`].
pub(crate) struct HeldSegments<'a>(&'a Shared);

impl Drop for HeldSegments<'_> {
    fn drop(&mut self) {
        self.0.segment_readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("files", &self.files).finish_non_exhaustive()
    }
}
