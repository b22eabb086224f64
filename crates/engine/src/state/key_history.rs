//! The kept versions of one key.
//!
//! Most keys have one version between two compactions, so the latest lives inline and older ones
//! behind one pointer. A worked example, as etcd's `key_index.go` tells it, of a key that is put at
//! 2 and 4, deleted at 5 and put again at 7:
//!
//! ```text
//! older  [2 put, 4 put, 5 tombstone]   latest 7 put
//! at(3) = 2   at(5) = none   at(6) = none   at(9) = 7
//! compaction at 5: [5 tombstone] 7      compaction at 6: [] 7
//! ```

use std::collections::VecDeque;
use std::iter;

use super::sorted::Keyed;
use crate::record::Record;
use crate::types::Revision;

/// All kept versions of one key, oldest first; never empty.
#[derive(Debug)]
pub(crate) struct KeyHistory {
    latest: Record,
    #[expect(
        clippy::box_collection,
        reason = "8 bytes instead of 32, of which most keys need none"
    )]
    older: Option<Box<VecDeque<Record>>>,
}

impl Keyed for KeyHistory {
    fn key(&self) -> &[u8] {
        self.key()
    }
}

impl KeyHistory {
    pub(crate) fn new(record: Record) -> Self {
        Self { latest: record, older: None }
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.latest.key()
    }

    /// The newest version, which may be a tombstone.
    pub(crate) fn latest(&self) -> &Record {
        &self.latest
    }

    /// The newest version if the key exists now.
    pub(crate) fn live(&self) -> Option<&Record> {
        (!self.latest.is_tombstone()).then_some(&self.latest)
    }

    /// The version that was current at `revision`, if the key existed then.
    pub(crate) fn at(&self, revision: Revision) -> Option<&Record> {
        let current = if self.latest.mod_revision() <= revision {
            &self.latest
        } else {
            let older = self.older.as_deref()?;
            let after = older.partition_point(|record| record.mod_revision() <= revision);
            older.get(after.checked_sub(1)?)?
        };
        (!current.is_tombstone()).then_some(current)
    }

    /// Oldest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Record> {
        let older = self.older.iter().flat_map(|older| older.iter());
        older.chain(iter::once(&self.latest))
    }

    /// Oldest first, without those before `revision`.
    pub(crate) fn versions_from(&self, revision: Revision) -> impl Iterator<Item = &Record> {
        let older = self.older.as_deref().into_iter().flat_map(move |older| {
            older.range(older.partition_point(|record| record.mod_revision() < revision)..)
        });
        let latest = (self.latest.mod_revision() >= revision).then_some(&self.latest);
        older.chain(latest)
    }

    /// Adds a version newer than all.
    pub(crate) fn push(&mut self, record: Record) {
        let before = std::mem::replace(&mut self.latest, record);
        self.older.get_or_insert_default().push_back(before);
    }

    /// Drops the versions before `kept`, which is one of this key. Returns their bytes, and how many
    /// they were.
    pub(crate) fn drop_before(&mut self, kept: &Record) -> (usize, u64) {
        let Some(older) = self.older.as_deref_mut() else { return (0, 0) };
        let (mut bytes, mut versions) = (0, 0);
        while let Some(first) = older.front() {
            if first.order() >= kept.order() {
                break;
            }
            bytes += first.size_bytes();
            versions += 1;
            older.pop_front();
        }
        if older.is_empty() {
            self.older = None;
        }
        (bytes, versions)
    }

    /// Drops what a compaction through a revision makes unreachable. Returns the bytes of that, and
    /// whether anything is left.
    pub(crate) fn retire(&mut self, through: Revision) -> (usize, bool) {
        let unreachable =
            |record: &Record| record.is_tombstone() && record.mod_revision() < through;
        let mut bytes = 0;
        if let Some(older) = self.older.as_deref_mut() {
            let mut end = older.partition_point(|record| record.mod_revision() <= through);
            let last = older.get(end.wrapping_sub(1));
            if self.latest.mod_revision() > through && !last.is_some_and(unreachable) {
                end = end.saturating_sub(1);
            }
            bytes = older.drain(..end).map(|record| record.size_bytes()).sum();
            if older.is_empty() {
                self.older = None;
            }
        }
        if self.older.is_none() && unreachable(&self.latest) {
            return (bytes + self.latest.size_bytes(), false);
        }
        (bytes, true)
    }

    /// Drops the oldest version, if it is `record` and not the only one.
    pub(crate) fn drop_oldest(&mut self, record: &Record) -> bool {
        let Some(older) = self.older.as_deref_mut() else { return false };
        let matches = older.front().is_some_and(|first| first.order() == record.order());
        if matches {
            older.pop_front();
            if older.is_empty() {
                self.older = None;
            }
        }
        matches
    }

    /// Whether a version is kept.
    pub(crate) fn holds(&self, record: &Record) -> bool {
        self.versions().any(|version| version.order() == record.order())
    }
}
