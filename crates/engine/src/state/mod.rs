//! The store's state: what the writer changes and readers share.
//!
//! The writer applies a change as soon as it is evaluated, at a revision above the published one,
//! and publishes it when the log has it. Readers see published revisions only: they skip versions
//! above. So the writer may let the lock go in the middle of a batch, and a batch that could not be
//! made durable is never seen.

mod alarms;
mod apply;
mod compaction;
mod history;
mod index;
mod key_history;
mod loader;
mod read;
mod sorted;

pub(crate) use apply::Moment;
pub(crate) use compaction::Retired;
pub(crate) use history::{Batch, Change};

pub(crate) use index::Index;
pub(crate) use key_history::KeyHistory;
pub(crate) use loader::Loader;
pub(crate) use read::{Scan, Span};

use self::alarms::Alarms;
use self::history::History;
use self::index::Position;
use crate::broken::{self, Defect};
use crate::entry::ImageHead;
use crate::error::Error;
use crate::lease::LeaseTable;
use crate::record::{Record, Version};
use crate::types::{LeaseId, Revision};
use crate::wire;

/// What readers may see: as of the last durable batch. The three belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) revision: Revision,
    pub(crate) compact_revision: Revision,
    pub(crate) sequence: u64,
}

/// A lease's in an image.
const LEASE_BYTES: usize = 25;

/// Bytes and counts that the status tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// Of all kept versions.
    pub(crate) bytes: usize,
    /// Of the latest versions of live keys.
    pub(crate) bytes_in_use: usize,
    /// Live keys.
    pub(crate) keys: usize,
}

/// Everything in memory.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) index: Index,
    pub(crate) history: History,
    pub(crate) leases: LeaseTable,
    pub(crate) alarms: Alarms,
    pub(crate) size: Size,
    /// The writer's view, which runs ahead of the published one within a batch.
    pub(crate) revision: Revision,
    pub(crate) compact_revision: Revision,
    pub(crate) sequence: u64,
    pub(crate) published: Published,
    /// How many states the store had before this one: whoever reads in slices, with the lock let go
    /// between them, looks whether it still reads the same.
    pub(crate) generation: u64,
    /// A panic ended a change in its middle. Who can read one key is still served; no image is made.
    half_done: bool,
}

/// What a put writes; the rest follows from the key's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) lease: LeaseId,
    pub(crate) revision: Revision,
    pub(crate) sub_revision: u32,
}

impl State {
    pub(crate) fn new() -> Self {
        let published =
            Published { revision: Revision(1), compact_revision: Revision(-1), sequence: 0 };
        Self {
            index: Index::default(),
            history: History::default(),
            leases: LeaseTable::default(),
            alarms: Alarms::default(),
            size: Size::default(),
            revision: published.revision,
            compact_revision: published.compact_revision,
            sequence: published.sequence,
            published,
            generation: 0,
            half_done: false,
        }
    }

    /// Changes more than one thing, of which a panic in between may have done some.
    pub(crate) fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.half_done, true);
        let changed = change(self);
        self.half_done = before;
        changed
    }

    pub(crate) fn is_half_done(&self) -> bool {
        self.half_done
    }

    /// The key's version in the writer's view.
    pub(crate) fn live(&self, key: &[u8]) -> Option<&Record> {
        self.index.get(key).and_then(|history| history.live())
    }

    /// The version of that revision and sub-revision, if it is here and has this very message.
    /// `near` is where the key before it in order was found, and becomes where this one is.
    pub(crate) fn same_version(
        &self,
        order: (Revision, u32),
        message: &[u8],
        near: &mut Option<Position>,
    ) -> Option<&Record> {
        let key = wire::expect_bytes(&mut &*message, 1)?;
        let position =
            near.map_or_else(|| self.index.find(key), |before| self.index.find_behind(before, key));
        *near = Some(position);
        let mut versions = self.index.at(position)?.versions_from(order.0);
        versions.find(|record| record.order() == order && record.message() == message)
    }

    /// Writes a version of a key. `position` is the key's in the index.
    pub(crate) fn put_at(&mut self, position: Position, put: &Put<'_>) -> Record {
        let current = self.index.at(position).and_then(|history| history.live());
        let (create_revision, version) =
            current.map_or((put.revision, 1), |now| (now.create_revision(), now.version() + 1));
        let record = Record::put(&Version {
            key: put.key,
            value: put.value,
            create_revision,
            mod_revision: put.revision,
            sub_revision: put.sub_revision,
            version,
            lease: put.lease,
        });
        self.apply_at(position, record.clone());
        record
    }

    /// Applies a version or a tombstone that is newer than all.
    pub(crate) fn apply(&mut self, record: Record) {
        let position = self.index.find(record.key());
        self.apply_at(position, record);
    }

    fn apply_at(&mut self, position: Position, record: Record) {
        let change = self.index_record(position, record);
        self.history.push(change);
    }

    /// Ends a lease and deletes its keys, all in one revision if it has any.
    pub(crate) fn end_lease(&mut self, id: LeaseId) {
        let keys = self.leases.keys(id, &self.index, self.revision);
        let revision = Revision(self.revision.0 + i64::from(!keys.is_empty()));
        for (sub_revision, key) in (0..).zip(keys) {
            self.apply(Record::tombstone(&key, revision, sub_revision));
        }
        self.revision = revision;
        self.leases.end(id);
    }

    /// Everything but the history.
    fn index_record(&mut self, position: Position, record: Record) -> Change {
        let history = self.index.at(position);
        let replaced = history.and_then(|history| history.live());
        let (replaced_bytes, replaced_lease) =
            replaced.map_or((0, LeaseId::NONE), |old| (old.size_bytes(), old.lease()));
        let created = record.create_revision() == record.mod_revision();
        // Not simply the version before: a transaction may write a key twice, and then both events
        // have the state before the transaction as their previous one (as in etcd).
        let known = !created && record.mod_revision() > self.compact_revision;
        let previous = history
            .filter(|_| known)
            .and_then(|history| history.at(Revision(record.mod_revision().0 - 1)))
            .cloned();

        let bytes = record.size_bytes();
        self.size.bytes += bytes;
        self.size.bytes_in_use -= replaced_bytes;
        self.size.keys -= usize::from(replaced_bytes > 0);
        if !record.is_tombstone() {
            self.size.bytes_in_use += bytes;
            self.size.keys += 1;
        }
        if replaced_lease != record.lease() {
            self.leases.detach_later(replaced_lease, record.key());
            self.leases.attach(record.lease(), record.key());
        }
        self.index.push_at(position, record.clone());
        Change { record, previous }
    }

    /// About how long an image of it is.
    pub(crate) fn image_bytes(&self) -> u64 {
        (self.size.bytes + self.leases.len() * LEASE_BYTES) as u64
    }

    /// The revision that a read asks for: the latest one readers may see for zero or less.
    pub(crate) fn readable(&self, wanted: Revision) -> Result<Revision, Error> {
        let Published { revision, compact_revision, .. } = self.published;
        if wanted > revision {
            Err(Error::FutureRevision { current: revision })
        } else if wanted.0 <= 0 {
            let missed = i64::from(broken::strikes(Defect::StaleRead));
            Ok(Revision(revision.0 - missed).max(compact_revision))
        } else if wanted < compact_revision {
            Err(Error::Compacted { compact_revision })
        } else {
            Ok(wanted)
        }
    }

    /// What was loaded from an image gets the numbers that it is installed with.
    pub(crate) fn renumber(&mut self, head: &ImageHead) {
        self.revision = head.revision;
        self.compact_revision = head.compact_revision;
        self.sequence = head.sequence;
        self.publish();
    }

    /// Lets readers see everything applied so far. The log has it.
    pub(crate) fn publish(&mut self) {
        self.published = Published {
            revision: self.revision,
            compact_revision: self.compact_revision,
            sequence: self.sequence,
        };
        self.leases.settle(&self.index);
        self.alarms.publish();
    }
}
