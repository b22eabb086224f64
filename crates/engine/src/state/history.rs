//! Every uncompacted change in revision order: what watchers catch up from and what is hashed.

use std::collections::VecDeque;

use crate::record::Record;
use crate::types::Revision;

/// One change of one key.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) record: Record,
    /// The key's state at the revision before; `None` if it did not exist, if this created it, or
    /// if that state is compacted.
    pub(crate) previous: Option<Record>,
}

/// What one look at the history may cost: the lock is held that long, and one answer to a watcher
/// holds it all.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    looked_at: usize,
    bytes: usize,
}

impl Batch {
    const CHANGES_MAX: usize = 1_000;
    const BYTES_MAX: usize = 1 << 20;

    pub(crate) fn push(&mut self, change: Change) {
        self.bytes += change.record.size_bytes();
        self.changes.push(change);
    }

    pub(crate) fn is_full(&self) -> bool {
        let changes = self.looked_at.max(self.changes.len());
        changes >= Self::CHANGES_MAX || self.bytes >= Self::BYTES_MAX
    }
}

/// Changes from the compacted revision (included) to the latest, ordered by revision and
/// sub-revision.
#[derive(Debug, Default)]
pub(crate) struct History {
    changes: VecDeque<Change>,
}

impl History {
    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    /// Copies the wanted changes of whole revisions from `from` through `through`, until a batch
    /// is full but at least one revision if there is one. Returns them and the last revision that
    /// was looked at completely.
    pub(crate) fn read(
        &self,
        from: Revision,
        through: Revision,
        wanted: impl Fn(&Record) -> bool,
    ) -> (Vec<Change>, Revision) {
        let start = self.changes.partition_point(|change| change.record.mod_revision() < from);
        let mut batch = Batch::default();
        let mut last = Revision(from.0 - 1);
        for change in self.changes.range(start..) {
            let revision = change.record.mod_revision();
            if revision > through {
                break;
            }
            if revision != last && batch.is_full() {
                return (batch.changes, last);
            }
            last = revision;
            batch.looked_at += 1;
            if wanted(&change.record) {
                batch.push(change.clone());
            }
        }
        (batch.changes, through.max(last))
    }

    /// The oldest change.
    pub(crate) fn front(&self) -> Option<&Change> {
        self.changes.front()
    }

    pub(crate) fn pop_front(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut Change> {
        self.changes.get_mut(at)
    }

    /// Removes changes up to and including those of `through` that are not to be kept.
    pub(crate) fn retain_through(&mut self, through: Revision, keep: impl Fn(&Record) -> bool) {
        let end = self.changes.partition_point(|change| change.record.mod_revision() <= through);
        let later = self.changes.split_off(end);
        self.changes.retain(|change| keep(&change.record));
        self.changes.extend(later);
    }

    /// Gives memory back after many changes went.
    pub(crate) fn shrink(&mut self) {
        if self.changes.len() < self.changes.capacity() / 4 {
            self.changes.shrink_to(self.changes.len() * 2);
        }
    }
}
