//! What a group of commands did, added up in plain numbers until it is published.

use std::sync::atomic::{AtomicU64, Ordering};

use super::queue::Work;
use crate::entry::Entry;
use crate::meters::Meters;
use crate::record::Record;
use crate::types::{OperationResult, Outcome, TxnResult};

/// See [`crate::meters::Counts`].
#[derive(Default)]
pub(crate) struct Tally {
    done: Operations,
    txns: u64,
    put_bytes: u64,
    leases_revoked: u64,
    leases_renewed: u64,
    leases_expired: u64,
    /// With what they were granted.
    ttls_s: Vec<u64>,
}

#[derive(Clone, Copy, Default)]
struct Operations {
    puts: u64,
    deletes: u64,
    ranges: u64,
}

impl Tally {
    /// A command, or the store's own work, and what came of it; so many keys there are fewer.
    pub(crate) fn note(
        &mut self,
        work: &Work,
        outcome: &Outcome,
        entry: Option<&Entry>,
        keys_gone: usize,
    ) {
        let mut done = Operations::default();
        match outcome {
            Outcome::Put(_) => done.puts = 1,
            Outcome::DeleteRange(_) => done.deletes = 1,
            Outcome::Txn(result) => done.add(result),
            _ => done.deletes = keys_ended(entry, keys_gone),
        }
        self.add(done);
        if let Some(entry) = entry {
            self.leases_expired += u64::from(matches!(work, Work::Expire(_)));
            self.note_entry(entry);
        }
    }

    /// A frame of the primary's log: what was asked for is not known, only what came of it.
    pub(crate) fn note_copied(&mut self, entry: &Entry, keys_gone: usize) {
        let deletes = keys_ended(Some(entry), keys_gone);
        let mut done = Operations { deletes, ..Operations::default() };
        if let Entry::Write { records, .. } = entry {
            let deletes = records.iter().filter(|record| record.is_tombstone()).count();
            done.deletes = deletes as u64;
            done.puts = (records.len() - deletes) as u64;
        }
        self.add(done);
        self.note_entry(entry);
    }

    fn note_entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Write { records, .. } => {
                let put = records.iter().filter(|record| !record.is_tombstone());
                let bytes = |record: &Record| (record.key().len() + record.value().len()) as u64;
                self.put_bytes += put.map(bytes).sum::<u64>();
            }
            Entry::LeaseGrant { ttl_s, .. } => self.ttls_s.push(ttl_s.unsigned_abs()),
            Entry::LeaseEnd { .. } => self.leases_revoked += 1,
            Entry::LeaseKeepAlive { .. } => self.leases_renewed += 1,
            Entry::Compact { .. } | Entry::Alarm { .. } => {}
        }
    }

    fn add(&mut self, done: Operations) {
        let Operations { puts, deletes, ranges } = done;
        self.done.puts += puts;
        self.done.deletes += deletes;
        self.done.ranges += ranges;
        self.txns += u64::from(puts + deletes + ranges > 1);
    }

    /// Passes it on to those who show it.
    pub(crate) fn publish(self, meters: &Meters) {
        let written = &meters.written;
        for (counter, count) in [
            (&written.puts, self.done.puts),
            (&written.put_bytes, self.put_bytes),
            (&written.deletes, self.done.deletes),
            (&written.ranges, self.done.ranges),
            (&written.txns, self.txns),
            (&written.leases_granted, self.ttls_s.len() as u64),
            (&written.leases_revoked, self.leases_revoked),
            (&written.leases_renewed, self.leases_renewed),
            (&written.leases_expired, self.leases_expired),
        ] {
            add(counter, count);
        }
        self.ttls_s.iter().for_each(|&ttl_s| meters.lease_ttls_s.observe(ttl_s));
    }
}

/// The keys that went with a lease.
fn keys_ended(entry: Option<&Entry>, keys_gone: usize) -> u64 {
    if matches!(entry, Some(Entry::LeaseEnd { .. })) { keys_gone as u64 } else { 0 }
}

fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Operations {
    fn add(&mut self, txn: &TxnResult) {
        for result in &txn.results {
            match result {
                OperationResult::Range(_) => self.ranges += 1,
                OperationResult::Put(_) => self.puts += 1,
                OperationResult::DeleteRange(_) => self.deletes += 1,
                OperationResult::Txn(nested) => self.add(nested),
            }
        }
    }
}
