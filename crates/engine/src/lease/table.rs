//! The live leases and the keys attached to them.
//!
//! A lease's set of keys may hold too many: a key that was deleted or moved to another lease stays
//! in it until the batch that did so is published. The truth about a key is its version in the
//! index, and every reader of a set checks it there. An ended lease stays until then too, so that
//! readers do not miss it before its end is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::state::Index;
use crate::types::{LeaseId, Revision};

/// A granted lease.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    /// What it was granted with, after raising to the minimum.
    pub(crate) ttl_s: i64,
    /// When it runs out on the monotonic clock.
    pub(crate) deadline: Duration,
    /// The same moment on the wall clock, as the log has it.
    pub(crate) expires_at: Duration,
    /// The log sequence number of its grant: readers see it when that is published.
    pub(crate) granted_sequence: u64,
    ended: bool,
    keys: BTreeSet<Box<[u8]>>,
}

impl Lease {
    pub(crate) fn new(ttl_s: i64, granted_sequence: u64) -> Self {
        let zero = Duration::ZERO;
        let keys = BTreeSet::new();
        Self { ttl_s, deadline: zero, expires_at: zero, granted_sequence, ended: false, keys }
    }

    /// Lets it run its whole TTL from now on.
    pub(crate) fn renew(&mut self, monotonic: Duration, wall: Duration) {
        let ttl = Duration::from_secs(self.ttl_s.unsigned_abs());
        self.deadline = monotonic + ttl;
        self.expires_at = wall + ttl;
    }

    /// Lets it run to a moment on the wall clock, but no longer than its TTL and no less than now.
    pub(crate) fn resume(&mut self, expires_at: Duration, monotonic: Duration, wall: Duration) {
        let ttl = Duration::from_secs(self.ttl_s.unsigned_abs());
        self.deadline = monotonic + expires_at.saturating_sub(wall).min(ttl);
        self.expires_at = expires_at;
    }
}

/// All leases by identity.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    leases: BTreeMap<LeaseId, Lease>,
    /// To be checked and taken out of their sets when the batch is published.
    detached: Vec<(LeaseId, Box<[u8]>)>,
    /// To be removed when the batch is published.
    ended: Vec<LeaseId>,
}

impl LeaseTable {
    /// In the writer's view.
    pub(crate) fn live(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id).filter(|lease| !lease.ended)
    }

    /// In the writer's view.
    pub(crate) fn live_mut(&mut self, id: LeaseId) -> Option<&mut Lease> {
        self.leases.get_mut(&id).filter(|lease| !lease.ended)
    }

    /// Whether it ended in the batch that is not published yet; its identity is not free before.
    pub(crate) fn is_ending(&self, id: LeaseId) -> bool {
        self.leases.get(&id).is_some_and(|lease| lease.ended)
    }

    /// As readers may see it: granted by a published entry.
    pub(crate) fn published(&self, id: LeaseId, sequence: u64) -> Option<&Lease> {
        self.leases.get(&id).filter(|lease| lease.granted_sequence <= sequence)
    }

    /// All that readers may see, in order.
    pub(crate) fn all_published(&self, sequence: u64) -> impl Iterator<Item = (LeaseId, &Lease)> {
        let visible = move |lease: &Lease| lease.granted_sequence <= sequence;
        self.leases.iter().filter(move |(_, lease)| visible(lease)).map(|(id, lease)| (*id, lease))
    }

    /// Counts those of the batch that is not published yet too.
    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(crate) fn grant(&mut self, id: LeaseId, lease: Lease) {
        self.leases.insert(id, lease);
    }

    /// Has all of them run out so much later.
    pub(crate) fn postpone(&mut self, by: Duration) {
        for lease in self.leases.values_mut() {
            lease.deadline += by;
            lease.expires_at += by;
        }
    }

    /// Ends a lease; its keys are deleted by the caller.
    pub(crate) fn end(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.ended = true;
            self.ended.push(id);
        }
    }

    pub(crate) fn attach(&mut self, id: LeaseId, key: &[u8]) {
        if id != LeaseId::NONE
            && let Some(lease) = self.leases.get_mut(&id)
            && !lease.keys.contains(key)
        {
            lease.keys.insert(key.into());
        }
    }

    pub(crate) fn detach_later(&mut self, id: LeaseId, key: &[u8]) {
        if id != LeaseId::NONE {
            self.detached.push((id, key.into()));
        }
    }

    /// A lease's keys at `revision`, in order.
    pub(crate) fn keys(&self, id: LeaseId, index: &Index, revision: Revision) -> Vec<Vec<u8>> {
        let Some(lease) = self.leases.get(&id) else { return Vec::new() };
        let attached = |key: &[u8]| {
            let version = index.get(key).and_then(|history| history.at(revision));
            version.is_some_and(|record| record.lease() == id)
        };
        lease.keys.iter().filter(|key| attached(key)).map(|key| key.to_vec()).collect()
    }

    /// Removes what the batch ended and detached, now that it is published.
    pub(crate) fn settle(&mut self, index: &Index) {
        for (id, key) in self.detached.drain(..) {
            let now = index.get(&key).and_then(|history| history.live());
            if now.is_none_or(|record| record.lease() != id)
                && let Some(lease) = self.leases.get_mut(&id)
            {
                lease.keys.remove(&key);
            }
        }
        for id in self.ended.drain(..) {
            self.leases.remove(&id);
        }
    }
}
