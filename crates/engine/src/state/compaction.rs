//! Forgetting history, a bounded slice at a time.
//!
//! A compaction is decided and logged by the writer; what it makes unreachable is dropped later, by
//! walking the changes up to its revision: each makes the versions of its key before it
//! unreachable, and is itself so when it is a tombstone. A tombstone exactly at the revision stays
//! until the next compaction, for a watch that starts there. Keys without a change in that stretch
//! are not touched.

use super::{State, history::Change};
use crate::record::Record;
use crate::types::Revision;

/// How far the dropping for one compaction has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retired {
    through: Revision,
    /// Changes of the revision `through` itself that are done; they stay in the history.
    settled: usize,
    /// One of them superseded another.
    superseded: bool,
    /// Versions dropped.
    versions: u64,
}

impl Retired {
    pub(crate) fn new(through: Revision) -> Self {
        Self { through, settled: 0, superseded: false, versions: 0 }
    }

    pub(crate) fn versions(&self) -> u64 {
        self.versions
    }
}

impl State {
    /// Drops all that compactions made unreachable, at once: nobody reads yet. It walks all keys in
    /// order instead of looking up the key of each change, which costs a tenth where there are many.
    pub(crate) fn retire_all(&mut self) {
        let through = self.compact_revision;
        while self.history.front().is_some_and(|oldest| oldest.record.mod_revision() < through) {
            self.history.pop_front();
        }
        let mut progress = Retired::new(through);
        while let Some(change) = self.history.get_mut(progress.settled) {
            if change.record.mod_revision() > through {
                break;
            }
            change.previous = None;
            progress.settled += 1;
        }
        progress.superseded = progress.settled > 1;
        let mut dropped = 0;
        self.index.retain(|history| {
            let (bytes, is_left) = history.retire(through);
            dropped += bytes;
            is_left
        });
        self.size.bytes -= dropped;
        self.finish_retiring(&progress);
    }

    /// Drops what about `changes_max` more changes make unreachable; true when all is dropped.
    pub(crate) fn retire(&mut self, progress: &mut Retired, changes_max: usize) -> bool {
        for _ in 0..changes_max {
            let oldest = self.history.front().map(|change| change.record.mod_revision());
            if oldest.is_some_and(|revision| revision < progress.through) {
                let Some(Change { record, .. }) = self.history.pop_front() else { return true };
                self.drop_superseded_by(&record, progress);
                if record.is_tombstone() {
                    progress.versions += u64::from(self.drop_tombstone(&record));
                }
                continue;
            }
            let Some(change) = self.history.get_mut(progress.settled) else { break };
            if change.record.mod_revision() > progress.through {
                break;
            }
            change.previous = None;
            let record = change.record.clone();
            progress.settled += 1;
            progress.superseded |= self.drop_superseded_by(&record, progress);
        }
        let next = self.history.get_mut(progress.settled);
        let done = next.is_none_or(|change| change.record.mod_revision() > progress.through);
        if done {
            self.finish_retiring(progress);
        }
        done
    }

    /// Returns whether one of them was of the same revision.
    fn drop_superseded_by(&mut self, record: &Record, progress: &mut Retired) -> bool {
        let Some(history) = self.index.get_mut(record.key()) else { return false };
        let oldest = history.versions().next();
        let same = oldest.is_some_and(|oldest| {
            oldest.mod_revision() == record.mod_revision() && oldest.order() < record.order()
        });
        let (bytes, versions) = history.drop_before(record);
        self.size.bytes -= bytes;
        progress.versions += versions;
        same
    }

    /// Whether it was still there.
    fn drop_tombstone(&mut self, tombstone: &Record) -> bool {
        let Some(history) = self.index.get_mut(tombstone.key()) else { return false };
        if !history.drop_oldest(tombstone) {
            if history.latest().order() != tombstone.order() {
                return false;
            }
            self.index.remove(tombstone.key());
        }
        self.size.bytes -= tombstone.size_bytes();
        true
    }

    /// Of a key that a transaction changed twice at the compacted revision, only the last change
    /// stays (as in etcd).
    fn finish_retiring(&mut self, progress: &Retired) {
        if progress.superseded {
            let index = &self.index;
            self.history.retain_through(progress.through, |record| {
                index.get(record.key()).is_some_and(|history| history.holds(record))
            });
        }
        self.history.shrink();
    }
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
