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

    /// Copies whole revisions from `from` through `through`: about `changes_max` changes, but at
    /// least one revision if there is one. Returns them and the last revision looked at.
    pub(crate) fn read(
        &self,
        from: Revision,
        through: Revision,
        changes_max: usize,
    ) -> (Vec<Change>, Revision) {
        let start = self.changes.partition_point(|change| change.record.mod_revision() < from);
        let mut taken: Vec<Change> = Vec::new();
        let mut last = Revision(from.0 - 1);
        for change in self.changes.range(start..) {
            let revision = change.record.mod_revision();
            if revision > through {
                break;
            }
            if revision != last && taken.len() >= changes_max {
                return (taken, last);
            }
            last = revision;
            taken.push(change.clone());
        }
        (taken, through.max(last))
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

    /// The changes of revisions from `from` on, in order.
    pub(crate) fn since(&self, from: Revision) -> impl Iterator<Item = &Change> {
        let start = self.changes.partition_point(|change| change.record.mod_revision() < from);
        self.changes.range(start..)
    }
}
