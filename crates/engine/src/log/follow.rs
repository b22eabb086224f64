//! Reading the log while it is written: every durable frame from a sequence number on, in order.
//!
//! The latest commits come from memory, what is before them from the segments. A follower holds
//! nobody up and nothing fast: segments that are removed while it is behind are gone for it, and a
//! jump of the sequence number (an image was installed) ends it, and so does another history.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::copy::WIRE_SALT;
use super::failure::{IoFailure, Named};
use super::files::read_header;
use super::frame::{self, FrameHeader, Kind};
use super::header::{FileHeader, FileKind};
use super::recent::Commit;
use super::retention::Shared;
use super::segment::FIRST_FRAME;
use super::window::Window;
use crate::error::OpenError;
use crate::types::Revision;
use crate::vfs::VfsFile;

/// Why a log cannot be followed from a sequence number.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// There is no log.
    #[error("a store in memory keeps no log to follow; use one on disk")]
    NoLog,
    /// That part of the log is gone; an image has to take its place.
    #[error("the log does not reach back to frame {wanted}: it begins at {first}")]
    TooOld { wanted: u64, first: u64 },
    /// That part of the log was never written here.
    #[error("frame {wanted} is ahead of the log, which ends at {last}")]
    Ahead { wanted: u64, last: u64 },
    /// A segment cannot be read.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// A segment is damaged, or is of another store.
    #[error(transparent)]
    Damaged(#[from] OpenError),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// The numbers of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its place in the log.
    pub sequence: u64,
    /// The term it was written in.
    pub term: u64,
    /// Wall time since the Unix epoch when it was written.
    pub wall: Duration,
    /// The store's revision after it.
    pub revision: Revision,
}

/// Consecutive frames, as they go to another member.
#[derive(Clone, Debug)]
pub struct FrameBatch {
    /// The frames one after the other; [`super::FrameReader`] takes them apart.
    pub bytes: Bytes,
    /// The first one's numbers.
    pub first: Stamp,
    /// The last one's numbers.
    pub last: Stamp,
}

/// Hands out the frames of a log in order.
#[derive(Debug)]
pub struct LogFollower {
    /// Weak, so that a follower does not keep a closed store locked.
    shared: Weak<Shared>,
    /// The sequence number of the next frame.
    next: u64,
    /// Of which history; another one's frames have the same numbers.
    histories_before: u64,
    segment: Option<Segment>,
}

/// The segment that is read.
#[derive(Debug)]
struct Segment {
    first_sequence: u64,
    path: PathBuf,
    file: Box<dyn VfsFile>,
    salt: u32,
    /// Where the frame `at` starts.
    offset: u64,
    at: u64,
}

impl LogFollower {
    pub(crate) fn new(shared: &Arc<Shared>, from: u64) -> Result<Self, FollowError> {
        let histories_before = shared.catalog().histories_before;
        let last = shared.recent.last();
        if from > last + 1 {
            return Err(FollowError::Ahead { wanted: from, last });
        }
        shared.recent.join();
        let weak = Arc::downgrade(shared);
        let mut follower = Self { shared: weak, next: from, histories_before, segment: None };
        if from <= last && shared.recent.read(from, 1).is_none() {
            // It may stand where an image was installed: then no frame has this number.
            let first = follower.read_segment(shared, last, 1)?;
            first.ok_or_else(|| follower.too_old(shared))?;
            follower.segment = None;
        }
        Ok(follower)
    }

    /// The sequence number of the frame that comes next.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The next frames, about `bytes_max` bytes of them and at least one; `None` when everything
    /// durable was handed out. May read a segment, never waits for the writer.
    pub fn take(&mut self, bytes_max: usize) -> Result<Option<FrameBatch>, FollowError> {
        let shared = self.shared.upgrade().ok_or(FollowError::Closed)?;
        let batch = self.read(&shared, bytes_max)?;
        // Afterwards: it may have changed while that was read.
        if shared.catalog().histories_before != self.histories_before {
            return Err(self.too_old(&shared));
        }
        self.next = batch.as_ref().map_or(self.next, |batch| batch.last.sequence + 1);
        Ok(batch)
    }

    fn read(
        &mut self,
        shared: &Shared,
        bytes_max: usize,
    ) -> Result<Option<FrameBatch>, FollowError> {
        let last = shared.recent.last();
        if self.next > last {
            return Ok(None);
        }
        let batch = match shared.recent.read(self.next, bytes_max) {
            Some(commits) => {
                self.segment = None;
                gather(&commits, self.next, bytes_max)
            }
            None => self.read_segment(shared, last, bytes_max)?,
        };
        batch.map(Some).ok_or_else(|| self.too_old(shared))
    }

    fn read_segment(
        &mut self,
        shared: &Shared,
        last: u64,
        bytes_max: usize,
    ) -> Result<Option<FrameBatch>, FollowError> {
        let next = self.next;
        let segment = self.find_segment(shared)?;
        let mut batch = Batch::default();
        let read = segment.read(next, last, bytes_max, &mut batch);
        read.named("read", &segment.path)?;
        Ok(batch.finish())
    }

    /// The segment with the next frame, if there is one: the last that begins at or before it.
    fn find_segment(&mut self, shared: &Shared) -> Result<&mut Segment, FollowError> {
        let wanted = self.next;
        let first_sequence = {
            let catalog = shared.catalog();
            let firsts = catalog.segments.iter().map(|segment| segment.first_sequence);
            firsts.take_while(|first| *first <= wanted).last()
        };
        let first_sequence = first_sequence.ok_or_else(|| self.too_old(shared))?;
        if self.segment.as_ref().is_none_or(|open| open.first_sequence != first_sequence) {
            match Segment::open(shared, first_sequence) {
                Ok(segment) => self.segment = Some(segment),
                // Removed since the catalog was read.
                Err(FollowError::Io(failure))
                    if failure.source.kind() == io::ErrorKind::NotFound =>
                {
                    return Err(self.too_old(shared));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.segment.as_mut().expect("it was just opened"))
    }

    fn too_old(&self, shared: &Shared) -> FollowError {
        let catalog = shared.catalog();
        let mut firsts = catalog.segments.iter().map(|segment| segment.first_sequence);
        let first = firsts.find(|first| *first > self.next);
        FollowError::TooOld { wanted: self.next, first: first.unwrap_or(self.next + 1) }
    }
}

impl Drop for LogFollower {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.recent.leave();
        }
    }
}

impl Segment {
    fn open(shared: &Shared, first_sequence: u64) -> Result<Self, FollowError> {
        let path = shared.files.segment_path(first_sequence);
        let file = shared.files.open(&path)?;
        let header = FileHeader::decode(&read_header(&*file, &path)?, FileKind::Segment, &path)?;
        let (salt, offset) = (header.salt, FIRST_FRAME);
        Ok(Self { first_sequence, path, file, salt, offset, at: first_sequence })
    }

    /// Reads frames `from` to `last` as far as they are here. Nothing above `last` is looked at: it
    /// may be on its way to the disk at this moment.
    fn read(
        &mut self,
        from: u64,
        last: u64,
        bytes_max: usize,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let mut window = Window::new(&*self.file);
        while self.at <= last && batch.bytes.len() < bytes_max {
            let read = frame::read(&mut window, self.salt, self.offset)?;
            let Some((header, payload)) = read else { return Ok(()) };
            // The mark of a closed log ends its segment, and so does the place where an earlier
            // process left the rest of a commit that was cut off.
            if header.kind == Kind::Closed || header.sequence != self.at {
                return Ok(());
            }
            if header.sequence >= from {
                batch.push(&header, payload);
            }
            self.at += 1;
            self.offset += header.frame_bytes();
        }
        Ok(())
    }
}

/// Takes frames out of commits, from frame `from` on.
fn gather(commits: &[Commit], from: u64, bytes_max: usize) -> Option<FrameBatch> {
    let mut batch = Batch::default();
    for commit in commits {
        let mut rest = &*commit.frames;
        while let Some(header) = FrameHeader::decode(commit.salt, rest) {
            if batch.bytes.len() >= bytes_max {
                return batch.finish();
            }
            let (frame, behind) = rest.split_at_checked(header.frame_length())?;
            if header.sequence >= from {
                batch.push(&header, frame::payload(&header, frame)?);
            }
            rest = behind;
        }
    }
    batch.finish()
}

/// A batch that is being filled.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Option<(Stamp, Stamp)>,
}

impl Batch {
    fn push(&mut self, header: &FrameHeader, payload: &[u8]) {
        frame::reseal(&mut self.bytes, WIRE_SALT, header, payload);
        let stamp = header.stamp();
        let first = self.ends.map_or(stamp, |(first, _)| first);
        self.ends = Some((first, stamp));
    }

    fn finish(self) -> Option<FrameBatch> {
        let (first, last) = self.ends?;
        Some(FrameBatch { bytes: self.bytes.into(), first, last })
    }
}
