//! Removing files that nobody needs any more.
//!
//! What a large file has is given back to the disk a piece at a time: all of it at once takes tens of
//! milliseconds, and a sync of the log waits for that. So it is put aside first, under a name that
//! recovery does not read, and cut shorter and shorter. A follower that is still reading it finds its
//! end too early, and so that it has come too late.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::failure::{IoFailure, Named};
use super::pace::Pace;
use super::retention::Shared;

/// How long files are cut at a time while others are served. The thread that does it has more to do.
const TURN: Duration = Duration::from_secs(1);

/// Bytes of a file that are given back at once.
const PIECE_BYTES: u64 = if cfg!(test) { 64 << 10 } else { 8 << 20 };

impl Shared {
    /// Removes checkpoints and segments that are no longer kept. What cannot be removed now, or not in
    /// time, is left to the next call.
    pub(crate) fn remove_expired(&self, pace: &Pace) -> Result<(), IoFailure> {
        self.put_expired_aside()?;
        let mut aside = mem::take(&mut self.catalog().aside);
        if aside.is_empty() {
            return Ok(());
        }
        let removed = self.remove_all(&mut aside, pace);
        self.catalog().aside.append(&mut aside);
        removed
    }

    fn put_expired_aside(&self) -> Result<(), IoFailure> {
        let _housekeeping = self.housekeeping();
        let (checkpoints, segments) = self.plan_expired();
        for sequence in checkpoints {
            let aside = if_there(self.files.put_aside(&self.files.checkpoint_path(sequence)))?;
            let mut catalog = self.catalog();
            catalog.checkpoints.retain(|kept| *kept != sequence);
            catalog.aside.extend(aside);
        }
        for sequence in segments {
            let aside = if_there(self.files.put_aside(&self.files.segment_path(sequence)))?;
            let mut catalog = self.catalog();
            catalog.segments.retain(|kept| kept.first_sequence != sequence);
            catalog.aside.extend(aside);
        }
        Ok(())
    }

    /// Leaves those in the list that are still there.
    fn remove_all(&self, paths: &mut Vec<PathBuf>, pace: &Pace) -> Result<(), IoFailure> {
        // A crash must not bring one that was cut back under its old name.
        self.files.sync_dirs()?;
        let end = self.clock.monotonic() + TURN;
        while let Some(path) = paths.last() {
            if if_there(self.cut(path, pace, end))? == Some(false) {
                break;
            }
            if_there(self.files.remove(path))?;
            paths.pop();
        }
        self.files.sync_dirs()
    }

    /// Gives back all but the last piece of a file, until there is nobody to be gentle for. Returns
    /// whether it came so far before its time was over.
    fn cut(&self, path: &Path, pace: &Pace, end: Duration) -> Result<bool, IoFailure> {
        self.files.check_locks()?;
        let file = self.files.open(path)?;
        let mut left = file.len().named("look at", path)?;
        while left > PIECE_BYTES && pace.is_gentle() && !self.is_closing.load(Ordering::Relaxed) {
            if self.clock.monotonic() >= end {
                return Ok(false);
            }
            let begun = pace.begin();
            left -= PIECE_BYTES;
            file.set_len(left).named("cut", path)?;
            pace.rest(begun);
        }
        Ok(true)
    }
}

/// Nothing where there is no such file: whoever removed it did what was to be done.
fn if_there<T>(done: Result<T, IoFailure>) -> Result<Option<T>, IoFailure> {
    match done {
        Err(failure) if failure.source.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

#[cfg(test)]
#[path = "removal_tests.rs"]
mod tests;
