//! Applying what was logged: by an earlier process of this store, or by another member now.
//!
//! Nothing is decided here, but what cannot have been logged after what is applied already is
//! refused, and then nothing is changed.

use std::time::Duration;

use super::State;
use crate::clock::Clock;
use crate::entry::Entry;
use crate::lease::Lease;
use crate::record::Record;
use crate::types::{LeaseId, Revision};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) monotonic: Duration,
    pub(crate) wall: Duration,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.wall() }
    }
}

impl State {
    /// Applies the entry with the next sequence number, in the writer's view. What a compaction
    /// makes unreachable is left to whoever drops it.
    pub(crate) fn apply_entry(&mut self, entry: &Entry, now: Moment) -> Result<(), String> {
        self.check_entry(entry)?;
        self.sequence += 1;
        match entry {
            Entry::Write { revision, records } => {
                for record in records {
                    self.apply(record.clone());
                }
                self.revision = *revision;
            }
            Entry::LeaseGrant { id, ttl_s, expires_at } => {
                let mut lease = Lease::new(*ttl_s, self.sequence);
                lease.resume(*expires_at, now.monotonic, now.wall);
                self.leases.grant(*id, lease);
            }
            Entry::LeaseKeepAlive { id, expires_at } => {
                if let Some(lease) = self.leases.live_mut(*id) {
                    lease.resume(*expires_at, now.monotonic, now.wall);
                }
            }
            Entry::LeaseEnd { id, .. } => self.end_lease(*id),
            Entry::Compact { revision } => self.compact_revision = *revision,
            Entry::Alarm { alarm, raised } => self.alarms.set(*alarm, *raised),
        }
        Ok(())
    }

    /// Whether the entry can be the next one.
    fn check_entry(&self, entry: &Entry) -> Result<(), String> {
        let live = |id: &LeaseId| self.leases.live(*id).is_some();
        match entry {
            Entry::Write { revision, records } => self.check_write(*revision, records),
            Entry::LeaseGrant { id, .. } if live(id) => {
                Err(format!("lease {} is granted twice", id.0))
            }
            Entry::LeaseKeepAlive { id, .. } if !live(id) => {
                Err(format!("no lease {} to renew", id.0))
            }
            Entry::LeaseEnd { id, .. } if !live(id) => Err(format!("no lease {} to end", id.0)),
            Entry::LeaseEnd { id, revision } => {
                let keys = self.leases.keys(*id, &self.index, self.revision);
                let next = self.revision.0 + i64::from(!keys.is_empty());
                if revision.0 == next {
                    return Ok(());
                }
                Err(format!("the end of lease {} makes revision {next}, not {}", id.0, revision.0))
            }
            Entry::Compact { revision } => {
                if *revision > self.compact_revision && *revision <= self.revision {
                    return Ok(());
                }
                Err(format!("a compaction at {} cannot be", revision.0))
            }
            Entry::LeaseGrant { .. } | Entry::LeaseKeepAlive { .. } | Entry::Alarm { .. } => Ok(()),
        }
    }

    fn check_write(&self, revision: Revision, records: &[Record]) -> Result<(), String> {
        let next = Revision(self.revision.0 + 1);
        if revision != next {
            return Err(format!("revision {} where {} comes next", revision.0, next.0));
        }
        for (sub_revision, record) in (0..).zip(records) {
            if record.order() != (revision, sub_revision) {
                return Err(format!("{record:?} in revision {} at {sub_revision}", revision.0));
            }
        }
        Ok(())
    }
}
