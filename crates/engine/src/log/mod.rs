//! The write-ahead log and the checkpoints that bound its replay.
//!
//! Owns every file of a durable store: lock, identity, segments, checkpoints. The writer thread
//! appends entries to a buffer and commits them with one write and one `fdatasync`; a checkpoint is
//! written beside it by another thread, from an image that the engine feeds item by item; upkeep
//! (preparing the next segment, removing expired ones) runs wherever the engine calls it. The log
//! starts no threads, reads no clock but the one in its options, and decides nothing about the
//! entries it carries.
//!
//! One commit is in flight at a time: the next one is written only after the one before is durable.
//! Recovery rests on that; `docs/store-format.md` has the argument and every byte.
//!
//! After an IO error the log latches: nothing is retried, since after a failed `fdatasync` the
//! operating system may hold pages that look clean and never reached the disk.

mod failure;

use std::path::PathBuf;
use std::time::Duration;

use crate::entry::{Entry, Frame, ImageHead, ImageItem};
use crate::error::{Error, OpenError};
use crate::options::{LogLocation, Options};
use crate::types::Revision;

pub use failure::IoFailure;

/// Most bytes that the encoded records of one entry may take. Check a command against it before it
/// is evaluated: [`Log::append`] refuses a larger one with [`Error::RequestTooLarge`].
pub const ENTRY_BYTES_MAX: usize = 256 << 20;

/// What recovery feeds: the image of the newest valid checkpoint, then every frame after it.
///
/// A refusal (the entry does not fit the state) makes the store unopenable, as damage at that
/// frame's place, with the returned reason.
pub trait Replay {
    /// Forgets everything taken so far. Called when a checkpoint turned out to be damaged after
    /// part of it was handed out, and an older one is tried.
    fn restart(&mut self);
    /// Takes a piece of the image; [`ImageItem::Head`] comes first. On a store without a checkpoint
    /// there are none.
    fn item(&mut self, item: ImageItem) -> Result<(), String>;
    /// Takes the next frame; sequence numbers are consecutive.
    fn frame(&mut self, frame: Frame) -> Result<(), String>;
}

/// Who a store is. Made at its creation, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of the store; random, never zero.
    pub cluster_id: u64,
    /// Of this member of it; random, never zero.
    pub member_id: u64,
}

/// What opening found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The sequence number of the checkpoint it started from; 0 for none.
    pub checkpoint_sequence: u64,
    /// Frames replayed after it.
    pub frames: u64,
    /// The last sequence number; 0 on a fresh store.
    pub sequence: u64,
    /// The term of the last frame or of the checkpoint; 1 on a fresh store.
    pub term: u64,
    /// The revision the last frame or the checkpoint left; 1 on a fresh store.
    pub revision: Revision,
    /// Bytes of an unfinished commit that were cut off the log's end.
    pub tail_bytes_cut: u64,
    /// Damaged checkpoints that were moved aside, each with what is wrong with it. To be logged.
    pub checkpoints_set_aside: Vec<(PathBuf, String)>,
}

/// The open log of one store. Owned by the writer thread.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Opens a store or creates one: takes the lock, replays into `replay`, cuts a torn tail off.
    /// What was replayed is durable when this returns.
    pub fn open(
        options: &Options,
        location: &LogLocation,
        replay: &mut dyn Replay,
    ) -> Result<Self, OpenError> {
        let _ = (options, location, replay);
        todo!()
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        todo!()
    }

    /// Who the store is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        todo!()
    }

    /// Encodes an entry into the buffer and returns its sequence number. `wall` is the time since
    /// the Unix epoch. Fails only with [`Error::Latched`] and [`Error::RequestTooLarge`]; nothing
    /// is buffered then.
    pub fn append(&mut self, entry: &Entry, wall: Duration) -> Result<u64, Error> {
        let _ = (entry, wall);
        todo!()
    }

    /// Bytes that wait for the next commit; a writer bounds its batches by it (a few MiB).
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        todo!()
    }

    /// Makes everything appended durable with one write and one `fdatasync`, and returns the last
    /// durable sequence number. Does nothing when nothing was appended. On [`Error::Latched`] the
    /// fate of what was appended is unknown until the store is opened again.
    pub fn commit(&mut self) -> Result<u64, Error> {
        todo!()
    }

    /// The last durable sequence number; 0 on a fresh store.
    #[must_use]
    pub fn durable_sequence(&self) -> u64 {
        todo!()
    }

    /// The term that appended entries get.
    #[must_use]
    pub fn term(&self) -> u64 {
        todo!()
    }

    /// Bytes committed since the log was opened.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        todo!()
    }

    /// Whether the log has outgrown the last checkpoint and none is being written. After a failed
    /// checkpoint it waits for as much log again.
    #[must_use]
    pub fn checkpoint_due(&self) -> bool {
        todo!()
    }

    /// Starts a checkpoint of the state as of `head.sequence`, which must be durable and above the
    /// last checkpoint's. Does no IO itself: hand the writer to another thread and go on appending.
    #[must_use]
    pub fn begin_checkpoint(&self, head: ImageHead) -> CheckpointWriter {
        let _ = head;
        todo!()
    }

    /// The log's housekeeping, for a background thread to run about every second.
    #[must_use]
    pub fn upkeep(&self) -> Upkeep {
        todo!()
    }

    /// Commits what is buffered, marks the log as closed and lets go of the lock.
    pub fn close(self) -> Result<(), Error> {
        todo!()
    }
}

/// Writes one checkpoint. Dropped before [`CheckpointWriter::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct CheckpointWriter {}

impl CheckpointWriter {
    /// Takes the next piece of the image: leases first, then records in key order, of one key the
    /// oldest first. The head is written by itself.
    pub fn push(&mut self, item: &ImageItem) -> Result<(), IoFailure> {
        let _ = item;
        todo!()
    }

    /// Makes the checkpoint durable, reads it back to verify it, gives it its name, and removes
    /// checkpoints and segments that are no longer kept. Returns its size in bytes. An error leaves
    /// the log as it was: it is no reason to stop writing.
    pub fn finish(self) -> Result<u64, IoFailure> {
        todo!()
    }
}

/// Housekeeping of the log, beside the writer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upkeep {}

impl Upkeep {
    /// Prepares the segment after the current one and removes segments that are covered by a
    /// verified checkpoint and past their retention. An error is worth a log line; the writer finds
    /// out by itself when it matters.
    pub fn run(&self) -> Result<(), IoFailure> {
        todo!()
    }
}
