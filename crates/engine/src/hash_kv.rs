//! The checksum that tells two stores with the same history apart from two without.
//!
//! Equal to etcd's `HashKV` bit for bit (`server/storage/mvcc/hash.go`): CRC32C over the bucket's
//! name, then over each version in revision order: its revision as etcd's database key, and its
//! message. Of what is compacted only the versions still current at the hashed revision count.

use std::collections::VecDeque;

use crc32c::crc32c_append;
use parking_lot::Mutex;

use crate::error::Error;
use crate::record::Record;
use crate::store::Store;
use crate::types::{HashKv, Revision};

/// etcd remembers so many hashes of compacted revisions.
pub(crate) const REMEMBERED_MAX: usize = 10;

/// Keys looked at before the writer is let in.
const SLICE_KEYS: usize = 2_048;

/// The hashes that compactions made of their revision before they dropped anything. They start
/// from the compaction before; asked for such a revision, etcd answers with its hash.
#[derive(Debug, Default)]
pub(crate) struct CompactionHashes {
    newest_last: Mutex<VecDeque<HashKv>>,
}

impl CompactionHashes {
    /// The history is another.
    pub(crate) fn forget(&self) {
        self.newest_last.lock().clear();
    }

    /// Called before a compaction drops what is between `from`, the one before it, and `through`,
    /// with the store pinned.
    pub(crate) fn remember(&self, store: &Store, from: Revision, through: Revision) {
        let hash = compute(store, from, through, keeps_tombstone(store, through));
        let mut hashes = self.newest_last.lock();
        hashes.push_back(HashKv {
            hash,
            hash_revision: through,
            compact_revision: from,
            revision: through,
        });
        if hashes.len() > REMEMBERED_MAX {
            hashes.pop_front();
        }
    }
}

/// A checksum over the history up to `wanted` (zero: the published revision).
pub(crate) fn hash_kv(store: &Store, wanted: Revision) -> Result<HashKv, Error> {
    let _pin = store.pin.read();
    let published = store.state.read().published;
    let (revision, compact_revision) = (published.revision, published.compact_revision);
    let remembered = store.hashes.newest_last.lock();
    if let Some(found) = remembered.iter().find(|hash| hash.hash_revision == wanted) {
        return Ok(HashKv { revision, ..*found });
    }
    drop(remembered);
    if wanted.0 > 0 && wanted < compact_revision {
        return Err(Error::Compacted { compact_revision });
    }
    if wanted > revision {
        return Err(Error::FutureRevision { current: revision });
    }
    let hash_revision = if wanted.0 == 0 { revision } else { wanted };
    let hash = compute(store, compact_revision, hash_revision, false);
    Ok(HashKv { hash, hash_revision, compact_revision, revision })
}

/// Whether a compaction leaves a tombstone for a watch that starts right there.
fn keeps_tombstone(store: &Store, through: Revision) -> bool {
    let (changes, _) = store.state.read().history.read(through, through, |_| true);
    changes.iter().any(|change| change.record.is_tombstone())
}

/// The lock is let go between slices; the caller sees to it that nothing is dropped meanwhile.
/// `any_kept` starts as whether the compaction that asks keeps more than live versions.
fn compute(store: &Store, compact_revision: Revision, through: Revision, any_kept: bool) -> u32 {
    let mut hash = crc32c_append(0, b"key");
    let mut compacted = Vec::new();
    let mut any_kept = any_kept;
    walk(store, |history| {
        if let Some(record) = history.at(through) {
            any_kept = true;
            if record.mod_revision() <= compact_revision {
                compacted.push(record.clone());
            }
        }
    });
    if !any_kept {
        // etcd reads "nothing to keep" as "nothing was compacted".
        walk(store, |history| compacted.extend(history.at(compact_revision).cloned()));
    }
    compacted.sort_unstable_by_key(Record::order);
    for record in &compacted {
        hash = append(hash, record);
    }
    let mut next = Revision(compact_revision.0 + 1);
    while next <= through {
        let (changes, last) = store.state.read().history.read(next, through, |_| true);
        for change in &changes {
            hash = append(hash, &change.record);
        }
        next = Revision(last.0 + 1);
    }
    hash
}

fn walk(store: &Store, mut visit: impl FnMut(&crate::state::KeyHistory)) {
    let mut resume = Some(Box::<[u8]>::default());
    while let Some(from) = resume {
        let state = store.state.read();
        let mut entries = state.index.range(&from, None);
        entries.by_ref().take(SLICE_KEYS).for_each(&mut visit);
        resume = entries.next().map(|entry| entry.key().into());
    }
}

/// A revision as etcd's database key: 8 bytes of revision, `_`, 8 bytes of sub-revision, big
/// endian, and `t` for a tombstone.
fn append(hash: u32, record: &Record) -> u32 {
    let mut key = [b'_'; 18];
    let (revision, rest) = key.split_at_mut(8);
    revision.copy_from_slice(&record.mod_revision().0.to_be_bytes());
    let (_, rest) = rest.split_at_mut(1);
    let (sub_revision, mark) = rest.split_at_mut(8);
    sub_revision.copy_from_slice(&u64::from(record.sub_revision()).to_be_bytes());
    mark.fill(b't');
    let length = if record.is_tombstone() { 18 } else { 17 };
    let key = key.get(..length).unwrap_or_default();
    crc32c_append(crc32c_append(hash, key), record.message())
}
