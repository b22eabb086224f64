//! The log of a store that is not running, read without changing it: for replaying it on top of an
//! older image, and for whoever wants to see what was written.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::Named;
use super::files::{self, LOCK, SEGMENT_SUFFIX, read_header, sequence_of};
use super::frame::{self, FrameHeader, Kind};
use super::header::{FileHeader, FileKind};
use super::segment::{FIRST_FRAME, FoundFrame, SegmentReader};
use super::window::Window;
use crate::entry::Frame;
use crate::error::OpenError;
use crate::types::Revision;
use crate::vfs::{Vfs, VfsFile, VfsLock};

/// Segments of one store, in order.
#[derive(Debug)]
pub(crate) struct Archive {
    segments: Vec<Segment>,
    /// So that nobody writes to them meanwhile.
    _lock: Option<Box<dyn VfsLock>>,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: Box<dyn VfsFile>,
    header: FileHeader,
}

/// What a frame says beside its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The revision after it.
    pub(crate) revision: Revision,
    /// When, in wall time.
    pub(crate) wall: Duration,
}

/// Who takes the frames: may stop, or say what is wrong with one.
type Take<'a> = dyn FnMut(Frame, Written) -> Result<ControlFlow<()>, String> + 'a;

impl Archive {
    /// Finds the segments in a directory.
    pub(crate) fn open(vfs: &dyn Vfs, dir: &Path) -> Result<Self, OpenError> {
        let names = vfs.list(dir).named("list", dir)?;
        let in_use = names.iter().any(|name| name == LOCK);
        let lock = if in_use { Some(files::lock(vfs, dir)?) } else { None };
        let mut numbers: Vec<_> = names
            .iter()
            .filter_map(|name| sequence_of(name, SEGMENT_SUFFIX).map(|n| (n, name)))
            .collect();
        numbers.sort_unstable();
        let open = |(_, name): &(u64, &String)| {
            let path = dir.join(name);
            let file = vfs.open(&path).named("open", &path)?;
            let header = read_header(&*file, &path)?;
            let header = FileHeader::decode(&header, FileKind::Segment, &path)?;
            Ok::<_, OpenError>(Segment { path, file, header })
        };
        let segments = numbers.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { segments, _lock: lock })
    }

    /// The store that they are of; `None` without segments.
    pub(crate) fn cluster_id(&self) -> Option<u64> {
        self.segments.last().map(|segment| segment.header.identity.cluster_id)
    }

    /// Where the log begins: a sequence number, and the revision before it.
    pub(crate) fn first(&self) -> Option<(u64, Revision)> {
        self.segments.first().map(|first| (first.header.sequence, first.header.revision))
    }

    /// Hands out the frames behind a sequence number until it is told to stop, or no good frame
    /// follows: the log ends there, was cut off there, or goes on with another state behind it.
    pub(crate) fn read(&self, after: u64, take: &mut Take<'_>) -> Result<(), OpenError> {
        let start = self.segments.partition_point(|segment| segment.header.sequence <= after + 1);
        let needed = self.segments.get(start.saturating_sub(1)..).unwrap_or_default();
        let mut expected = None;
        for segment in needed {
            if expected.is_some_and(|expected| expected != segment.header.sequence) {
                return Ok(());
            }
            match segment.read(after, take)? {
                ControlFlow::Continue(next) => expected = Some(next),
                ControlFlow::Break(()) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Hands out all frames of all segments until it is told to stop. Where the sequence numbers
    /// jump an image took the place of the state.
    pub(crate) fn read_all(&self, take: &mut Take<'_>) -> Result<(), OpenError> {
        for segment in &self.segments {
            if segment.read(0, take)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Segment {
    /// Hands out the good frames behind a sequence number; returns the one that would come next.
    fn read(&self, after: u64, take: &mut Take<'_>) -> Result<ControlFlow<(), u64>, OpenError> {
        let mut reader = SegmentReader::new(&*self.file, &self.path, &self.header);
        while let Some(found) = reader.next()? {
            if found.header.kind == Kind::Closed || found.header.sequence <= after {
                continue;
            }
            if hand_out(&self.path, &found, take)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(reader.expected))
    }
}

/// Hands out all frames of a side file until it is told to stop. Numbers may be missing among them.
pub(crate) fn read_side_file(
    vfs: &dyn Vfs,
    path: &Path,
    take: &mut Take<'_>,
) -> Result<(), OpenError> {
    let file = vfs.open(path).named("open", path)?;
    let header = FileHeader::decode(&read_header(&*file, path)?, FileKind::Side, path)?;
    let end = file.len().named("read", path)?;
    let mut window = Window::new(&*file);
    let (mut offset, mut last) = (FIRST_FRAME, header.sequence.saturating_sub(1));
    let corrupt = |offset, reason: &str| OpenError::Corrupt {
        path: path.to_owned(),
        offset,
        reason: reason.to_owned(),
    };
    while offset < end {
        let read = frame::read(&mut window, header.salt, offset).named("read", path)?;
        let (header, payload) = read.ok_or_else(|| corrupt(offset, "the frame is damaged"))?;
        if header.sequence <= last {
            return Err(corrupt(offset, "the frame is out of order"));
        }
        if hand_out(path, &FoundFrame { offset, header, payload }, take)?.is_break() {
            return Ok(());
        }
        last = header.sequence;
        offset += header.frame_bytes();
    }
    Ok(())
}

fn hand_out(
    path: &Path,
    found: &FoundFrame<'_>,
    take: &mut Take<'_>,
) -> Result<ControlFlow<()>, OpenError> {
    let FrameHeader { sequence, term, wall, revision, .. } = found.header;
    let corrupt = |reason: &str| OpenError::Corrupt {
        path: path.to_owned(),
        offset: found.offset,
        reason: reason.to_owned(),
    };
    let entry = frame::decode_entry(&found.header, found.payload)
        .ok_or_else(|| corrupt("the entry is malformed"))?;
    let frame = Frame { sequence, term, wall, entry };
    take(frame, Written { revision, wall }).map_err(|reason| corrupt(&reason))
}
