//! Opening a store: from its files back to the state that was acknowledged.
//!
//! The newest checkpoint that is whole, then every frame after it. Whatever does not fit together
//! is refused by file and offset, with one exception: the rest of a commit that was never
//! acknowledged, at the very end of the log ([`super::tail`]). No file that is kept changes until all
//! was read and found good.

use std::path::{Path, PathBuf};

use super::applier::{Applier, Misfit};
use super::failure::Named;
use super::files::{Files, Listing, read_header};
use super::frame::{self, FrameHeader, Kind};
use super::header::{FileHeader, FileKind};
use super::identity::random_salt;
use super::retention::SegmentEntry;
use super::segment::{ActiveSegment, FIRST_FRAME, SegmentReader, SegmentStart};
use super::tail::{self, Tail};
use super::{Identity, Recovered, Replay, checkpoint, create, install};
use crate::entry::{Frame, ImageItem};
use crate::error::OpenError;
use crate::options::Options;
use crate::types::Revision;
use crate::vfs::VfsFile;

/// An opened store, before it becomes a [`super::Log`].
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) identity: Identity,
    pub(crate) active: ActiveSegment,
    pub(crate) segments: Vec<SegmentEntry>,
    pub(crate) checkpoints: Vec<u64>,
    /// Bytes of the checkpoint it started from.
    pub(crate) image_bytes: u64,
    /// Bytes of the frames replayed after it.
    pub(crate) replayed_bytes: u64,
    pub(crate) recovered: Recovered,
}

/// A segment with what its header says.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: Box<dyn VfsFile>,
    header: FileHeader,
}

/// Opens the store in these directories, or creates one where nothing is.
pub(crate) fn open(
    options: &Options,
    files: &Files,
    replay: &mut dyn Replay,
) -> Result<Opened, OpenError> {
    Applier::run(replay, |applier| recover(options, files, applier))
}

fn recover(options: &Options, files: &Files, applier: &mut Applier) -> Result<Opened, OpenError> {
    let listing = files.list()?;
    // An earlier process may have failed to sync what we are about to see.
    files.sync_dirs()?;
    let listing = install::finish_pending(options, files, listing)?;
    let segments = open_segments(files, &listing)?;
    let identity = find_identity(files, &listing, &segments)?;
    let Some(identity) = identity else { return create::empty(options, files, &listing) };
    if !listing.has_identity {
        identity.write(files, options.clock.wall())?;
    }
    // An image that was installed may be of another cluster; its segments are the newest.
    let cluster_id = segments.last().map(|segment| segment.header.identity.cluster_id);
    let cluster_id = cluster_id.unwrap_or(identity.cluster_id);
    let mut recovery = Recovery {
        options,
        files,
        identity: Identity { cluster_id, ..identity },
        applier,
        image_bytes: 0,
        replayed_bytes: 0,
        recovered: fresh(),
    };
    for segment in &segments {
        recovery.check_identity(&segment.header, &segment.path)?;
    }
    let damage = recovery.load_checkpoint(&listing, &segments)?;
    // Where the log does not go on from an older checkpoint, it is the newer one that matters.
    let active = recovery.replay_log(segments.as_slice()).map_err(|e| damage.unwrap_or(e))?;
    recovery.set_damaged_aside()?;
    recovery.finish(active, &segments, listing.checkpoints)
}

pub(super) fn fresh() -> Recovered {
    Recovered { term: 1, revision: Revision(1), ..Recovered::default() }
}

fn open_segments(files: &Files, listing: &Listing) -> Result<Vec<Segment>, OpenError> {
    let open = |first_sequence: &u64| {
        let path = files.segment_path(*first_sequence);
        let file = files.open(&path)?;
        let header = FileHeader::decode(&read_header(&*file, &path)?, FileKind::Segment, &path)?;
        if header.sequence == *first_sequence {
            Ok(Segment { path, file, header })
        } else {
            Err(corrupt(&path, 0, "its header names another sequence number than its name"))
        }
    };
    listing.segments.iter().map(open).collect()
}

/// Who the store is; `None` where there is no store. The identity file is the last that creating a
/// store writes, so one without it has at most an empty first segment.
fn find_identity(
    files: &Files,
    listing: &Listing,
    segments: &[Segment],
) -> Result<Option<Identity>, OpenError> {
    if listing.has_identity {
        return Identity::read(files).map(Some);
    }
    let (None, [] | [_]) = (listing.checkpoints.first(), segments) else {
        return Err(corrupt(&files.identity_path(), 0, "it is missing"));
    };
    let Some(first) = segments.first() else { return Ok(None) };
    let mut reader = SegmentReader::new(&*first.file, &first.path, &first.header);
    if first.header.sequence == 1 && reader.next()?.is_none() {
        return Ok(Some(first.header.identity));
    }
    Err(corrupt(&files.identity_path(), 0, "it is missing"))
}

/// The recovery of a store that exists.
struct Recovery<'a> {
    options: &'a Options,
    files: &'a Files,
    identity: Identity,
    applier: &'a mut Applier,
    image_bytes: u64,
    replayed_bytes: u64,
    recovered: Recovered,
}

impl Recovery<'_> {
    /// Takes the newest checkpoint that is undamaged, if the log reaches back to it. Returns what is
    /// wrong with the newest of all, if it is not that one.
    fn load_checkpoint(
        &mut self,
        listing: &Listing,
        segments: &[Segment],
    ) -> Result<Option<OpenError>, OpenError> {
        let mut damage = None;
        for sequence in listing.checkpoints.iter().rev() {
            let path = self.files.checkpoint_path(*sequence);
            let Some(found) = self.try_checkpoint(*sequence, &path)? else { break };
            self.recovered.checkpoints_set_aside.push((path, found.to_string()));
            damage.get_or_insert(found);
        }
        let reached = self.recovered.checkpoint_sequence + 1;
        match (segments.first(), damage) {
            (Some(first), damage) if first.header.sequence <= reached => Ok(damage),
            // The older state that is left does not connect to the log: it is the damage that
            // matters.
            (_, Some(damage)) => Err(damage),
            (Some(first), None) => Err(corrupt(
                &first.path,
                0,
                &format!(
                    "the log begins at sequence number {}, and no checkpoint reaches there",
                    first.header.sequence
                ),
            )),
            (None, None) => {
                Err(corrupt(&self.files.segment_path(reached), 0, "the log is missing"))
            }
        }
    }

    /// Feeds a checkpoint. Returns what is wrong with it, as if it had not been there, when it is
    /// damaged; fails when it is whole but not ours to read.
    fn try_checkpoint(
        &mut self,
        sequence: u64,
        path: &Path,
    ) -> Result<Option<OpenError>, OpenError> {
        let file = self.files.open(path)?;
        let bytes = read_header(&*file, path)?;
        let header = match FileHeader::decode(&bytes, FileKind::Checkpoint, path) {
            Ok(header) => header,
            Err(damage @ OpenError::Corrupt { .. }) => return Ok(Some(damage)),
            Err(error) => return Err(error),
        };
        self.check_identity(&header, path)?;
        let damage = match self.read_image(&*file, path, &header) {
            Ok(()) if self.recovered.checkpoint_sequence == sequence => return Ok(None),
            Ok(()) => corrupt(path, 0, "its image is of another sequence number than its name"),
            Err(damage @ OpenError::Corrupt { .. }) => damage,
            Err(error) => return Err(error),
        };
        self.applier.restart();
        let checkpoints_set_aside = std::mem::take(&mut self.recovered.checkpoints_set_aside);
        self.recovered = Recovered { checkpoints_set_aside, ..fresh() };
        self.image_bytes = 0;
        Ok(Some(damage))
    }

    fn read_image(
        &mut self,
        file: &dyn VfsFile,
        path: &Path,
        header: &FileHeader,
    ) -> Result<(), OpenError> {
        let (applier, recovered) = (&mut *self.applier, &mut self.recovered);
        self.image_bytes = checkpoint::read(file, path, header, &mut |item| {
            if let ImageItem::Head(head) = &item {
                recovered.checkpoint_sequence = head.sequence;
                recovered.sequence = head.sequence;
                recovered.term = head.term;
                recovered.revision = head.revision;
            }
            applier.item(item);
            Ok(())
        })?;
        self.settle(path)
    }

    /// Feeds every frame after the checkpoint, and settles how the log ends.
    fn replay_log(&mut self, segments: &[Segment]) -> Result<ActiveSegment, OpenError> {
        let reached = self.recovered.checkpoint_sequence + 1;
        let start = segments.partition_point(|segment| segment.header.sequence <= reached);
        let needed = segments.get(start.saturating_sub(1)..).unwrap_or_default();
        let nexts = needed.iter().skip(1).map(Some).chain([None]);
        for (segment, next) in needed.iter().zip(nexts) {
            let reader = self.replay_segment(segment)?;
            match next {
                // A segment begins once all before it is durable: this one ends right there.
                Some(next) if next.header.sequence == reader.expected => {}
                Some(next) => {
                    let reason = format!(
                        "frame {} should be here; the next segment begins at {}",
                        reader.expected, next.header.sequence
                    );
                    return Err(corrupt(&segment.path, reader.offset, &reason));
                }
                None => return self.settle_end(segment, reader),
            }
        }
        unreachable!("a store has at least one segment: loading the checkpoint made sure")
    }

    fn replay_segment<'s>(&mut self, segment: &'s Segment) -> Result<SegmentReader<'s>, OpenError> {
        let mut reader = SegmentReader::new(&*segment.file, &segment.path, &segment.header);
        while let Some(found) = reader.next()? {
            let (header, offset) = (found.header, found.offset);
            if header.kind == Kind::Closed || header.sequence <= self.recovered.checkpoint_sequence
            {
                continue;
            }
            let entry = frame::decode_entry(&header, found.payload)
                .ok_or_else(|| corrupt(&segment.path, offset, "the entry is malformed"))?;
            let FrameHeader { sequence, term, wall, revision, .. } = header;
            let frame = Frame { sequence, term, wall, entry };
            self.applier.frame(offset, header.frame_bytes(), frame);
            self.recovered.frames += 1;
            self.recovered.sequence = sequence;
            self.recovered.term = term;
            self.recovered.revision = revision;
            self.replayed_bytes += header.frame_bytes();
        }
        self.settle(&segment.path)?;
        Ok(reader)
    }

    /// All that was read of a file fits.
    fn settle(&mut self, path: &Path) -> Result<(), OpenError> {
        let settled = self.applier.settle();
        settled.map_err(|Misfit { offset, reason }| corrupt(path, offset, &reason))
    }

    /// Judges what stands behind the last good frame, makes that frame durable, and gives back the
    /// segment that new frames go to.
    fn settle_end(
        &mut self,
        segment: &Segment,
        mut reader: SegmentReader<'_>,
    ) -> Result<ActiveSegment, OpenError> {
        let (end, expected) = (reader.offset, reader.expected);
        if expected <= self.recovered.checkpoint_sequence {
            let reason = format!(
                "the log ends before frame {expected}; the checkpoint already has frame {}",
                self.recovered.checkpoint_sequence
            );
            return Err(corrupt(&segment.path, end, &reason));
        }
        let salt = segment.header.salt;
        let judged = tail::judge(&mut reader.window, salt, end, expected);
        let tail = judged.named("read", &segment.path)?;
        match &tail {
            Tail::Damaged(reason) => return Err(corrupt(&segment.path, end, reason)),
            Tail::Unfinished(bytes) => self.recovered.tail_bytes_cut = *bytes,
            Tail::Clean => {}
        }
        if end == FIRST_FRAME && tail == Tail::Clean {
            let file = self.files.open(&segment.path)?;
            return Ok(ActiveSegment::reuse(segment.path.clone(), salt, file));
        }
        rewrite_last_commit(segment, &mut reader)?;
        let start = SegmentStart {
            identity: self.identity,
            salt: random_salt(),
            first_sequence: expected,
            revision: self.recovered.revision,
            created_at: self.options.clock.wall(),
            bytes: self.options.segment_bytes,
        };
        let active = ActiveSegment::create(self.files, None, &start)?;
        if active.path != segment.path {
            // Frees what was reserved. Nothing depends on it: the new segment says where this ends.
            segment.file.set_len(end).named("truncate", &segment.path)?;
        }
        Ok(active)
    }

    /// Moves damaged checkpoints out of the way of later recoveries, under names that say so.
    fn set_damaged_aside(&mut self) -> Result<(), OpenError> {
        for (path, _) in &mut self.recovered.checkpoints_set_aside {
            let mut aside = path.clone().into_os_string();
            aside.push(".damaged");
            let aside = PathBuf::from(aside);
            self.files.install(path, &aside)?;
            *path = aside;
        }
        Ok(())
    }

    fn check_identity(&self, header: &FileHeader, path: &Path) -> Result<(), OpenError> {
        if header.identity.member_id == self.identity.member_id {
            return Ok(());
        }
        Err(corrupt(path, 0, "it belongs to another store than the identity file names"))
    }

    fn finish(
        self,
        active: ActiveSegment,
        segments: &[Segment],
        mut checkpoints: Vec<u64>,
    ) -> Result<Opened, OpenError> {
        checkpoints.retain(|sequence| *sequence <= self.recovered.checkpoint_sequence);
        let mut entries = Vec::new();
        for segment in segments.iter().filter(|segment| segment.path != active.path) {
            entries.push(SegmentEntry {
                first_sequence: segment.header.sequence,
                created_at: segment.header.created_at,
                bytes: segment.file.len().named("measure", &segment.path)?,
            });
        }
        entries.push(SegmentEntry {
            first_sequence: self.recovered.sequence + 1,
            created_at: self.options.clock.wall(),
            bytes: self.options.segment_bytes,
        });
        Ok(Opened {
            identity: self.identity,
            active,
            segments: entries,
            checkpoints,
            image_bytes: self.image_bytes,
            replayed_bytes: self.replayed_bytes,
            recovered: self.recovered,
        })
    }
}

/// Writes the last commit once more and syncs it. An earlier process may have failed to sync it, and
/// then the operating system still shows what no later sync alone would write.
fn rewrite_last_commit(segment: &Segment, reader: &mut SegmentReader<'_>) -> Result<(), OpenError> {
    let (start, end) = (reader.commit_at, reader.offset);
    if start == end || reader.closed {
        return Ok(());
    }
    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
    let commit = reader.window.at(start, length).named("read", &segment.path)?;
    segment.file.write_all_at(start, commit).named("write", &segment.path)?;
    segment.file.sync_data().named("sync", &segment.path)?;
    Ok(())
}

fn corrupt(path: &Path, offset: u64, reason: &str) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), offset, reason: reason.to_owned() }
}
