//! Side files: frames that a member wrote and the new primary of its cluster did not have.
//!
//! Written before the log that holds them is replaced by the new primary's. Nothing reads them here;
//! they are for people. Layout in `docs/store-format.md`, section 3a.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::{IoFailure, Named};
use super::files::Files;
use super::follow::{FollowError, FrameBatch, LogFollower};
use super::header::{FileHeader, FileKind, HEADER_BYTES};
use super::retention::Shared;
use crate::types::Revision;

const PREFIX: &str = "tail-";
const SUFFIX: &str = ".frames";

/// Bytes of frames read and written at once.
const PIECE_BYTES: usize = 1 << 20;

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

/// The frames of the log from one on, across the places where it jumps.
struct Frames<'a> {
    shared: &'a Arc<Shared>,
    follower: Option<LogFollower>,
    next: u64,
    absent: u64,
}

impl Frames<'_> {
    fn take(&mut self) -> Result<Option<FrameBatch>, FollowError> {
        loop {
            let follower = match self.follower.take() {
                Some(follower) => Ok(follower),
                None => LogFollower::new(self.shared, self.next),
            };
            let taken = follower.and_then(|mut follower| {
                let batch = follower.take(PIECE_BYTES)?;
                self.next = follower.next_sequence();
                self.follower = Some(follower);
                Ok(batch)
            });
            match taken {
                Err(FollowError::Ahead { .. }) => return Ok(None),
                Err(FollowError::TooOld { wanted, first }) => {
                    self.absent += first - wanted;
                    self.next = first;
                }
                taken => return taken,
            }
        }
    }
}

/// Keeps all frames from `from` on in a file of their own, durably. What the log does not reach
/// back to is left out, and so is where it jumps; `None` if there are none.
pub(crate) fn keep(shared: &Arc<Shared>, from: u64) -> Result<Option<SideFile>, FollowError> {
    let mut frames = Frames { shared, follower: None, next: from, absent: 0 };
    let Some(batch) = frames.take()? else { return Ok(None) };
    frames.absent = 0;
    let first = batch.first;
    let name = format!("{PREFIX}{}-{:020}{SUFFIX}", first.term, first.sequence);
    let unfinished = shared.files.unfinished_log_path(&name);
    let path = shared.files.log_path(&name);
    // One that an earlier failure left.
    drop(shared.files.remove(&unfinished));
    let file = shared.files.create(&unfinished, 0)?;
    let header = FileHeader {
        kind: FileKind::Side,
        salt: super::copy::WIRE_SALT,
        identity: shared.identity(),
        sequence: first.sequence,
        revision: Revision(first.revision.0),
        created_at: shared.clock.wall(),
    };
    file.write_all_at(0, &header.encode()).named("write", &unfinished)?;
    let mut offset = HEADER_BYTES as u64;
    let (mut last, mut absent) = (first.sequence, 0);
    let mut next = Some(batch);
    while let Some(batch) = next {
        file.write_all_at(offset, &batch.bytes).named("write", &unfinished)?;
        offset += batch.bytes.len() as u64;
        (last, absent) = (batch.last.sequence, frames.absent);
        next = frames.take()?;
    }
    file.sync_data().named("sync", &unfinished)?;
    shared.files.install(&unfinished, &path)?;
    Ok(Some(SideFile { path, first: first.sequence, last, absent }))
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
