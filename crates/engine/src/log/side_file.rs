//! Side files: frames that a member wrote and the new primary of its cluster did not have.
//!
//! Written before the log that holds them is replaced by the new primary's. They are for people, who
//! are shown them by [`crate::read_side_file`]. Layout in `docs/store-format.md`, section 3a.
//!
//! The segments are read once, from the first that is wanted on. What cannot be read must not keep a
//! member from joining its cluster again: it is left out up to the next segment, and told by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::{IoFailure, Named};
use super::files::{Files, read_header};
use super::follow::{FollowError, Stamp};
use super::frame::{self, FrameHeader, Kind};
use super::header::{FileHeader, FileKind, HEADER_BYTES};
use super::retention::{HeldSegments, Shared};
use super::segment::{FoundFrame, SegmentReader};
use super::tail::{self, Tail};
use crate::error::OpenError;
use crate::vfs::VfsFile;

const PREFIX: &str = "tail-";
const SUFFIX: &str = ".frames";

/// Bytes of frames written at once.
const PIECE_BYTES: usize = 1 << 20;

/// What was kept of the end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptAside {
    /// `None`: no frame was there, or none that could be read.
    pub file: Option<SideFile>,
    /// Where the log could not be read.
    pub damaged: Vec<LogDamage>,
}

/// Frames that were kept in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideFile {
    /// Where it is.
    pub path: PathBuf,
    /// The first frame in it, and the last.
    pub first: u64,
    /// Of the same term.
    pub last: u64,
    /// How many in between are in no log: a snapshot was restored there, which has the sequence
    /// number of a frame and is none.
    pub absent: u64,
}

/// A place in the log that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDamage {
    /// The segment.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
    /// The first frame that is lost.
    pub first: u64,
    /// The last one: the next segment goes on behind it.
    pub last: u64,
}

/// A segment of the log.
struct Segment {
    path: PathBuf,
    file: Box<dyn VfsFile>,
    first: u64,
    /// The number behind its last frame, if nothing jumps: the next segment begins there, or the log
    /// ends.
    end: u64,
}

/// Keeps all frames from `from` on in a file of their own, durably. What the log does not reach
/// back to is left out, and so is where it jumps.
pub(crate) fn keep(shared: &Arc<Shared>, from: u64) -> Result<KeptAside, FollowError> {
    let (segments, _held) = open_segments(shared, from)?;
    let mut keeping =
        Keeping { shared, from, file: None, absent: 0, jumped: 0, damaged: Vec::new() };
    for (number, segment) in segments.iter().enumerate() {
        let is_last = number + 1 == segments.len();
        keeping.keep(segment, is_last)?;
    }
    keeping.finish()
}

/// The segments that may have frames from `from` on. They are whole as long as they are held: a file
/// that is removed is cut shorter first.
fn open_segments(
    shared: &Shared,
    from: u64,
) -> Result<(Vec<Segment>, HeldSegments<'_>), IoFailure> {
    let housekeeping = shared.housekeeping();
    let held = shared.hold_segments(&housekeeping);
    let firsts: Vec<_> =
        shared.catalog().segments.iter().map(|segment| segment.first_sequence).collect();
    let behind = shared.recent.last() + 1;
    let ends = firsts.iter().skip(1).copied().chain([behind]);
    let wanted = firsts.iter().copied().zip(ends).filter(|(_, end)| *end > from);
    let open = |(first, end)| {
        let path = shared.files.segment_path(first);
        Ok(Segment { file: shared.files.open(&path)?, path, first, end })
    };
    let segments: Result<_, _> = wanted.map(open).collect();
    Ok((segments?, held))
}

/// Frames on their way into a side file.
struct Keeping<'a> {
    shared: &'a Shared,
    from: u64,
    file: Option<Unfinished>,
    /// Numbers between the frames that are no frame's, and such behind the last frame.
    absent: u64,
    jumped: u64,
    damaged: Vec<LogDamage>,
}

impl Keeping<'_> {
    fn keep(&mut self, segment: &Segment, is_last: bool) -> Result<(), FollowError> {
        let Segment { path, file, first, end } = segment;
        let header = read_header(&**file, path)?;
        let header = match FileHeader::decode(&header, FileKind::Segment, path) {
            Ok(header) => header,
            Err(error) => return self.note(error, (*first, *end)),
        };
        let mut reader = SegmentReader::new(&**file, path, &header);
        // What stands behind the end may be on its way to the disk at this moment.
        while reader.expected < *end {
            match reader.next() {
                Ok(Some(FoundFrame { header, payload, .. })) => {
                    if header.kind != Kind::Closed && header.sequence >= self.from {
                        self.push(&header, payload)?;
                    }
                }
                Ok(None) => return self.stop(&mut reader, &header, (segment, is_last)),
                Err(error) => return self.note(error, (reader.expected, *end)),
            }
        }
        Ok(())
    }

    /// No frame stands where one is expected.
    fn stop(
        &mut self,
        reader: &mut SegmentReader<'_>,
        header: &FileHeader,
        (segment, is_last): (&Segment, bool),
    ) -> Result<(), FollowError> {
        let Segment { path, end, .. } = segment;
        let (offset, expected) = (reader.offset, reader.expected);
        let tail = tail::judge(&mut reader.window, header.salt, offset, expected);
        let reason = match tail.named("read", path)? {
            // An image was installed behind its last frame.
            Tail::Clean if !is_last => {
                self.jumped += end - expected;
                return Ok(());
            }
            Tail::Clean => "nothing stands where a frame was written".to_owned(),
            Tail::Unfinished(_) => "the frame is not whole".to_owned(),
            Tail::Damaged(reason) => reason,
        };
        self.note(OpenError::Corrupt { path: path.clone(), offset, reason }, (expected, *end))
    }

    /// Frames are lost from one on, up to the end of the segment.
    fn note(&mut self, error: OpenError, (first, end): (u64, u64)) -> Result<(), FollowError> {
        let OpenError::Corrupt { path, offset, reason } = error else { return Err(error.into()) };
        let first = first.max(self.from);
        self.damaged.push(LogDamage { path, offset, reason, first, last: end - 1 });
        Ok(())
    }

    fn push(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), IoFailure> {
        let jumped = std::mem::take(&mut self.jumped);
        let file = match &mut self.file {
            Some(file) => {
                self.absent += jumped;
                file
            }
            None => self.file.insert(Unfinished::begin(self.shared, &header.stamp())?),
        };
        file.push(header, payload)
    }

    fn finish(self) -> Result<KeptAside, FollowError> {
        let Self { shared, file, absent, damaged, .. } = self;
        let file = file.map(|file| file.finish(shared, absent)).transpose()?;
        Ok(KeptAside { file, damaged })
    }
}

/// A side file while it is written.
struct Unfinished {
    file: Box<dyn VfsFile>,
    temporary: PathBuf,
    path: PathBuf,
    first: u64,
    last: u64,
    offset: u64,
    /// To be written.
    piece: Vec<u8>,
}

impl Unfinished {
    fn begin(shared: &Shared, first: &Stamp) -> Result<Self, IoFailure> {
        let name = format!("{PREFIX}{}-{:020}{SUFFIX}", first.term, first.sequence);
        let temporary = shared.files.unfinished_log_path(&name);
        let path = shared.files.log_path(&name);
        // One that an earlier failure left.
        drop(shared.files.remove(&temporary));
        let file = shared.files.create(&temporary, 0)?;
        let header = FileHeader {
            kind: FileKind::Side,
            salt: super::copy::WIRE_SALT,
            identity: shared.identity(),
            sequence: first.sequence,
            revision: first.revision,
            created_at: shared.clock.wall(),
        };
        file.write_all_at(0, &header.encode()).named("write", &temporary)?;
        let (first, offset, piece) = (first.sequence, HEADER_BYTES as u64, Vec::new());
        Ok(Self { file, temporary, path, first, last: first, offset, piece })
    }

    fn push(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), IoFailure> {
        frame::reseal(&mut self.piece, super::copy::WIRE_SALT, header, payload);
        self.last = header.sequence;
        if self.piece.len() < PIECE_BYTES { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), IoFailure> {
        self.file.write_all_at(self.offset, &self.piece).named("write", &self.temporary)?;
        self.offset += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self, shared: &Shared, absent: u64) -> Result<SideFile, IoFailure> {
        self.write()?;
        let Self { file, temporary, path, first, last, .. } = self;
        file.sync_data().named("sync", &temporary)?;
        shared.files.install(&temporary, &path)?;
        Ok(SideFile { path, first, last, absent })
    }
}

/// The side files there are, in order.
pub(crate) fn list(files: &Files) -> Result<Vec<PathBuf>, IoFailure> {
    let dir = files.log_path("");
    let dir: &Path = &dir;
    let mut names = files.vfs.list(dir).named("list", dir)?;
    names.retain(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
    names.sort_unstable();
    Ok(names.iter().map(|name| dir.join(name)).collect())
}
