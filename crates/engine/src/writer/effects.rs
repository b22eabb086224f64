//! What the other threads are told when a group is published.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::queue::Work;
use super::tally::Tally;
use crate::entry::Entry;
use crate::state::State;
use crate::store::Store;
use crate::types::{LeaseId, Revision};

/// What a group did that others have to know.
#[derive(Default)]
pub(crate) struct Effects {
    commands: u64,
    pub(super) compactions: Vec<Revision>,
    granted: Vec<(LeaseId, Duration)>,
    ended: Vec<LeaseId>,
    /// Expiries dealt with, with the new deadline of a lease that was renewed in time.
    pub(super) expiries: Vec<(LeaseId, Option<Duration>)>,
    pub(super) tally: Tally,
}

impl Effects {
    pub(super) fn note(&mut self, work: &Work, entry: Option<&Entry>, state: &State) {
        let deadline = |id| state.leases.live(id).map(|lease| lease.deadline);
        self.commands += u64::from(matches!(work, Work::Command(_)));
        if let Work::Expire(id) = work {
            self.expiries.push((*id, deadline(*id)));
        }
        match entry {
            Some(Entry::Compact { revision }) => self.compactions.push(*revision),
            Some(Entry::LeaseGrant { id, .. }) => {
                self.granted.extend(deadline(*id).map(|deadline| (*id, deadline)));
            }
            Some(Entry::LeaseEnd { id, .. }) => self.ended.push(*id),
            _ => {}
        }
    }

    /// Tells them. `compacted` is the compaction before those of the group.
    pub(super) fn publish(self, store: &Store, mut compacted: Revision) {
        store.counters.commits.fetch_add(1, Ordering::Relaxed);
        store.counters.commands.fetch_add(self.commands, Ordering::Relaxed);
        self.tally.publish(&store.meters);
        for revision in self.compactions {
            let generation = store.state.read().generation;
            store.compactor.start(generation, compacted, revision);
            compacted = revision;
        }
        for (id, deadline) in self.granted {
            store.expiry.watch(id, deadline);
        }
        for (id, renewed) in self.expiries {
            store.expiry.done(id, renewed);
        }
        // Last: within a group a lease ends after it was granted or renewed, never before.
        for id in self.ended {
            store.expiry.forget(id);
        }
    }
}
