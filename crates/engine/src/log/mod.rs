//! The write-ahead log and the checkpoints that bound its replay.
//!
//! Owns every file of a durable store: lock, identity, segments, checkpoints. The writer thread
//! appends entries to a buffer and commits them with one write and one `fdatasync`; a checkpoint is
//! written beside it by another thread, from an image that the engine feeds item by item; upkeep
//! (preparing the next segment, removing expired ones) runs wherever the engine calls it. A thread of
//! the log's own lasts no longer than the file that it reads or writes. The log reads no clock but the
//! one in its options, and decides nothing about the entries it carries.
//!
//! One commit is in flight at a time: the next one is written only after the one before is durable.
//! Recovery rests on that; `docs/store-format.md` has the argument and every byte.
//!
//! After an IO error the log latches: nothing is retried, since after a failed `fdatasync` the
//! operating system may hold pages that look clean and never reached the disk.

mod applier;
mod archive;
mod beside;
mod checkpoint;
mod checkpoint_file;
mod copy;
mod create;
mod failure;
mod files;
mod follow;
mod frame;
mod header;
mod identity;
mod install;
mod pace;
mod recent;
mod recovery;
mod removal;
mod replay;
mod retention;
mod role_file;
mod segment;
mod side_file;
mod tail;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::entry::{Entry, ImageHead};
use crate::error::{Error, OpenError};
use crate::options::{LogLocation, Options};
use crate::role::{Role, Standing};
use crate::types::Revision;

use self::files::Files;
use self::frame::Place;
use self::retention::{Catalog, SegmentEntry, Shared};
use self::segment::{ActiveSegment, CommitTimes, SegmentStart};

pub(crate) use self::archive::{Archive, Written, read_side_file};
pub use self::beside::{Journal, Upkeep};
pub use self::checkpoint::CheckpointWriter;
pub use self::copy::{BadFrame, CopiedFrame, FrameReader};
pub(crate) use self::create::NewStore;
pub use self::failure::IoFailure;
pub(crate) use self::failure::Named;
pub use self::follow::{FollowError, FrameBatch, LogFollower, Stamp};
pub(crate) use self::frame::{decode_alarm, encode_alarm};
pub use self::header::FORMAT_VERSION;
pub(crate) use self::header::{BadHeader, FileHeader, FileKind, HEADER_BYTES, nanoseconds};
pub use self::identity::Identity;
pub(crate) use self::identity::random_salt;
pub(crate) use self::install::{Installation, LogBefore, NotInstalled};
pub use self::replay::{Recovered, Replay};
pub use self::side_file::{KeptAside, LogDamage, SideFile};

/// Most bytes that the encoded records of one entry may take. Check a command against it before it
/// is evaluated: [`Log::append`] refuses a larger one with [`Error::RequestTooLarge`].
pub const ENTRY_BYTES_MAX: usize = 256 << 20;

/// Of what a standby logs that is no frame of its primary's.
pub(crate) const TERM_OF_NOBODY: u64 = 0;

/// A buffer that one huge batch made larger than this is shrunk again.
const BUFFER_BYTES_KEPT: usize = 16 << 20;

/// The open log of one store. Owned by the writer thread. Dropped without [`Log::close`] it leaves
/// the files as a crash would.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    active: ActiveSegment,
    /// Frames that wait for the next commit, and how many.
    buffer: Vec<u8>,
    buffered: u32,
    sequence: u64,
    term: u64,
    revision: Revision,
    durable_sequence: u64,
    durable_revision: Revision,
    bytes_written: u64,
    committed_in: Option<CommitTimes>,
    recovered: Recovered,
    replayed_bytes: u64,
    latched: Option<Arc<str>>,
    standing: Standing,
}

impl Log {
    /// Opens a store or creates one: takes the lock, replays into `replay`, cuts a torn tail off.
    /// What was replayed is durable when this returns.
    pub fn open(
        options: &Options,
        location: &LogLocation,
        replay: &mut dyn Replay,
    ) -> Result<Self, OpenError> {
        let files = Files::lock(location)?;
        let opened = recovery::open(options, &files, replay)?;
        let catalog = Catalog {
            segments: opened.segments,
            checkpoints: opened.checkpoints,
            image_bytes: opened.image_bytes,
            checkpoint_at_sequence: opened.recovered.checkpoint_sequence,
            ..Catalog::default()
        };
        let recovered = opened.recovered;
        let standing = Standing::open(options, &files, opened.identity)?;
        Ok(Self {
            shared: Arc::new(Shared::new(
                files,
                opened.identity,
                options,
                catalog,
                recovered.sequence,
            )),
            active: opened.active,
            buffer: Vec::new(),
            buffered: 0,
            sequence: recovered.sequence,
            term: recovered.term,
            revision: recovered.revision,
            durable_sequence: recovered.sequence,
            durable_revision: recovered.revision,
            bytes_written: 0,
            committed_in: None,
            recovered,
            replayed_bytes: opened.replayed_bytes,
            latched: None,
            standing,
        })
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Who the store is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.shared.identity()
    }

    /// What this member is to its peers.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Changes what this member is to its peers, durably.
    pub fn stand(&mut self, standing: &Standing) -> Result<(), Error> {
        self.refuse_if_latched()?;
        let Shared { files, clock, .. } = &*self.shared;
        let written = standing.write(files, self.identity(), clock.wall());
        self.latch_on(written)?;
        self.standing = standing.clone();
        Ok(())
    }

    /// Encodes an entry into the buffer and returns its sequence number. `wall` is the time since
    /// the Unix epoch. Fails only with [`Error::Latched`] and [`Error::RequestTooLarge`]; nothing
    /// is buffered then.
    pub fn append(&mut self, entry: &Entry, wall: Duration) -> Result<u64, Error> {
        self.refuse_if_latched()?;
        if self.standing.role == Role::Standby {
            // The log parts from the primary's, and no restart may forget it.
            self.term = TERM_OF_NOBODY;
        }
        let revision = match entry {
            Entry::Write { revision, .. } | Entry::LeaseEnd { revision, .. } => *revision,
            _ => self.revision,
        };
        let place = self.next_place(wall, revision);
        frame::encode(&mut self.buffer, &place, entry).ok_or(Error::RequestTooLarge)?;
        self.appended(&place.stamp);
        Ok(place.stamp.sequence)
    }

    /// Takes a frame of another member's log into the buffer, with its numbers as they are. Fails
    /// only with [`Error::Latched`].
    ///
    /// # Panics
    /// If the frame is not the one that comes next.
    pub fn append_copy(&mut self, frame: &CopiedFrame) -> Result<(), Error> {
        self.refuse_if_latched()?;
        let stamp = frame.stamp();
        assert_eq!(stamp.sequence, self.sequence + 1, "frames are copied without gaps");
        frame.encode(&mut self.buffer, self.active.salt, self.buffered);
        self.term = stamp.term;
        self.appended(&stamp);
        Ok(())
    }

    fn appended(&mut self, stamp: &Stamp) {
        self.buffered += 1;
        self.sequence = stamp.sequence;
        self.revision = stamp.revision;
    }

    /// Bytes that wait for the next commit; a writer bounds its batches by it (a few MiB).
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Makes everything appended durable with one write and one `fdatasync`, and returns the last
    /// durable sequence number. Does nothing when nothing was appended. On [`Error::Latched`] the
    /// fate of what was appended is unknown until the store is opened again.
    pub fn commit(&mut self) -> Result<u64, Error> {
        self.refuse_if_latched()?;
        if self.buffered > 0 {
            let written = self.rotate_if_full().and_then(|()| self.write());
            self.committed_in = Some(self.latch_on(written)?);
            self.bytes_written += self.buffer.len() as u64;
            let (first, salt) = (self.durable_sequence + 1, self.active.salt);
            self.shared.recent.push(first, self.sequence, salt, &self.buffer);
            self.durable_sequence = self.sequence;
            self.durable_revision = self.revision;
            self.buffer.clear();
            self.buffer.shrink_to(BUFFER_BYTES_KEPT);
            self.buffered = 0;
        }
        Ok(self.durable_sequence)
    }

    /// The last durable sequence number; 0 on a fresh store.
    #[must_use]
    pub fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }

    /// The term that appended entries get.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Bytes committed since the log was opened.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Whether the log has outgrown the last checkpoint, or the state of about `state_bytes`, and
    /// none is being written. After a failed checkpoint it waits for as much log again.
    #[must_use]
    pub fn checkpoint_due(&self, state_bytes: u64) -> bool {
        self.shared.checkpoint_due(self.log_bytes(), self.durable_sequence, state_bytes)
    }

    /// Whether opening the store again is much shorter with a checkpoint of what it ends with.
    pub(crate) fn checkpoint_saves_time(&self, state_bytes: u64) -> bool {
        self.shared.checkpoint_saves_time(self.log_bytes(), self.durable_sequence, state_bytes)
    }

    /// Starts a checkpoint of the state as of `head.sequence`, which must be durable and above the
    /// last checkpoint's. Does no IO itself: hand the writer to another thread and go on appending.
    ///
    /// # Panics
    /// If `head.sequence` is not durable yet.
    #[must_use]
    pub fn begin_checkpoint(&self, head: ImageHead) -> CheckpointWriter {
        assert!(
            head.sequence <= self.durable_sequence,
            "only durable state goes into a checkpoint"
        );
        CheckpointWriter::new(Arc::clone(&self.shared), head, self.log_bytes())
    }

    /// The log's housekeeping, for a background thread to run about every second.
    #[must_use]
    pub fn upkeep(&self) -> Upkeep {
        Upkeep(Arc::clone(&self.shared))
    }

    /// By which the log is followed while it is written.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal(Arc::downgrade(&self.shared))
    }

    /// Commits what is buffered and marks the log as closed. The lock is let go when the last
    /// [`CheckpointWriter`] and [`Upkeep`] of this log are gone too.
    pub fn close(mut self) -> Result<(), Error> {
        self.commit()?;
        if self.active.offset > segment::FIRST_FRAME {
            let place = self.next_place(self.shared.clock.wall(), self.revision);
            frame::encode_closed(&mut self.buffer, &place);
            let written = self.write();
            self.latch_on(written)?;
        }
        Ok(())
    }

    /// What the last commit took, once.
    pub(crate) fn take_commit_times(&mut self) -> Option<CommitTimes> {
        self.committed_in.take()
    }

    fn write(&mut self) -> Result<CommitTimes, IoFailure> {
        self.active.write(&self.buffer, &*self.shared.clock)
    }

    fn next_place(&self, wall: Duration, revision: Revision) -> Place {
        let stamp = Stamp { sequence: self.sequence + 1, term: self.term, wall, revision };
        Place { salt: self.active.salt, in_commit: self.buffered, stamp }
    }

    /// Bytes of log since the recovered checkpoint.
    fn log_bytes(&self) -> u64 {
        self.replayed_bytes + self.bytes_written
    }

    /// Starts the next segment if the buffer does not fit into this one. A buffer that fits into
    /// none makes its segment longer.
    fn rotate_if_full(&mut self) -> Result<(), IoFailure> {
        let end = self.active.offset + self.buffer.len() as u64;
        if end <= self.shared.segment_bytes || self.active.offset == segment::FIRST_FRAME {
            return Ok(());
        }
        let spare = self.shared.catalog().spare.take();
        let start = SegmentStart {
            identity: self.shared.identity(),
            salt: self.active.salt,
            first_sequence: self.durable_sequence + 1,
            revision: self.durable_revision,
            created_at: self.shared.clock.wall(),
            bytes: self.shared.segment_bytes,
        };
        let written = self.active.offset;
        self.active = ActiveSegment::create(&self.shared.files, spare, &start)?;
        let mut catalog = self.shared.catalog();
        if let Some(last) = catalog.segments.last_mut() {
            last.bytes = last.bytes.max(written);
        }
        catalog.segments.push(SegmentEntry {
            first_sequence: start.first_sequence,
            created_at: start.created_at,
            bytes: start.bytes,
        });
        Ok(())
    }

    fn refuse_if_latched(&self) -> Result<(), Error> {
        match &self.latched {
            Some(reason) => Err(Error::Latched { reason: Arc::clone(reason) }),
            None => Ok(()),
        }
    }

    fn latch_on<T>(&mut self, result: Result<T, IoFailure>) -> Result<T, Error> {
        result.map_err(|failure| {
            let reason = failure.reason();
            self.latched = Some(Arc::clone(&reason));
            Error::Latched { reason }
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
    }
}
