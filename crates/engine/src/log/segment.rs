//! Segments: the files of the log. One is written; the others are only read.
//!
//! A segment is written by one process: whoever opens a store starts a new one (unless nothing was
//! written to the last yet). So no byte of a segment is ever written with a second meaning, and
//! what an earlier process left behind its good frames can never be taken for later ones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Identity;
use super::failure::{IoFailure, Named};
use super::files::{Files, write_header};
use super::frame::{self, FrameHeader, Kind};
use super::header::{FileHeader, FileKind, HEADER_BYTES};
use super::window::Window;
use crate::clock::Clock;
use crate::error::OpenError;
use crate::types::Revision;
use crate::vfs::VfsFile;

/// Where the first frame of a segment starts.
pub(crate) const FIRST_FRAME: u64 = HEADER_BYTES as u64;

/// What a new segment begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentStart {
    pub(crate) identity: Identity,
    /// The same for all segments of one process, since frames are encoded before it is known which
    /// segment they go to.
    pub(crate) salt: u32,
    pub(crate) first_sequence: u64,
    /// The store's revision before the first frame.
    pub(crate) revision: Revision,
    pub(crate) created_at: Duration,
    /// Bytes to reserve.
    pub(crate) bytes: u64,
}

/// What a commit took, its `write` and its `fdatasync`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitTimes {
    pub(crate) write: Duration,
    pub(crate) sync: Duration,
}

/// The segment that is written.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) path: PathBuf,
    pub(crate) salt: u32,
    /// Where the next frame goes.
    pub(crate) offset: u64,
    file: Box<dyn VfsFile>,
}

impl ActiveSegment {
    /// Makes a segment, durably, from a spare file if there is one.
    pub(crate) fn create(
        files: &Files,
        spare: Option<Spare>,
        start: &SegmentStart,
    ) -> Result<Self, IoFailure> {
        let Spare { file, path: unfinished } = match spare {
            Some(spare) => spare,
            None => Spare::create(files, "next", start.bytes)?,
        };
        let header = FileHeader {
            kind: FileKind::Segment,
            salt: start.salt,
            identity: start.identity,
            sequence: start.first_sequence,
            revision: start.revision,
            created_at: start.created_at,
        };
        write_header(&*file, &unfinished, &header)?;
        let path = files.segment_path(start.first_sequence);
        files.install(&unfinished, &path)?;
        Ok(Self { path, salt: header.salt, offset: FIRST_FRAME, file })
    }

    /// Goes on with a segment that has no frames.
    pub(crate) fn reuse(path: PathBuf, salt: u32, file: Box<dyn VfsFile>) -> Self {
        Self { path, salt, offset: FIRST_FRAME, file }
    }

    /// Writes frames behind the others and makes them durable. Tells what either took.
    pub(crate) fn write(
        &mut self,
        frames: &[u8],
        clock: &dyn Clock,
    ) -> Result<CommitTimes, IoFailure> {
        let begun = clock.monotonic();
        self.file.write_all_at(self.offset, frames).named("write", &self.path)?;
        let written = clock.monotonic();
        self.file.sync_data().named("sync", &self.path)?;
        let synced = clock.monotonic();
        self.offset += frames.len() as u64;
        Ok(CommitTimes {
            write: written.saturating_sub(begun),
            sync: synced.saturating_sub(written),
        })
    }
}

/// A file for a segment to come.
#[derive(Debug)]
pub(crate) struct Spare {
    file: Box<dyn VfsFile>,
    path: PathBuf,
}

impl Spare {
    /// Takes the space for a segment, under a name that nobody else uses at the time.
    pub(crate) fn create(files: &Files, name: &str, bytes: u64) -> Result<Self, IoFailure> {
        let path = files.unfinished_log_path(name);
        Ok(Self { file: files.create(&path, bytes)?, path })
    }
}

/// Reads a segment's frames in order.
#[derive(Debug)]
pub(crate) struct SegmentReader<'a> {
    pub(crate) window: Window<'a>,
    path: &'a Path,
    salt: u32,
    /// Where the next frame should start.
    pub(crate) offset: u64,
    /// Its sequence number.
    pub(crate) expected: u64,
    /// Where the commit of the last frame started.
    pub(crate) commit_at: u64,
    /// Whether the last frame was the mark of a closed log.
    pub(crate) closed: bool,
}

/// A frame, undamaged, and where it stands.
#[derive(Debug)]
pub(crate) struct FoundFrame<'a> {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
    pub(crate) payload: &'a [u8],
}

impl<'a> SegmentReader<'a> {
    pub(crate) fn new(file: &'a dyn VfsFile, path: &'a Path, header: &FileHeader) -> Self {
        Self {
            window: Window::new(file),
            path,
            salt: header.salt,
            offset: FIRST_FRAME,
            expected: header.sequence,
            commit_at: FIRST_FRAME,
            closed: false,
        }
    }

    /// The next frame, the mark of a closed log among them; `None` where no good one starts.
    pub(crate) fn next(&mut self) -> Result<Option<FoundFrame<'_>>, OpenError> {
        let offset = self.offset;
        let read = frame::read(&mut self.window, self.salt, offset).named("read", self.path)?;
        let Some((header, payload)) = read else { return Ok(None) };
        if header.sequence != self.expected {
            let reason = format!("frame {} stands where {} should", header.sequence, self.expected);
            return Err(OpenError::Corrupt { path: self.path.to_owned(), offset, reason });
        }
        if header.place == 0 {
            self.commit_at = offset;
        }
        self.closed = header.kind == Kind::Closed;
        self.expected += u64::from(!self.closed);
        self.offset += header.frame_bytes();
        Ok(Some(FoundFrame { offset, header, payload }))
    }
}
