//! Building the state from a checkpoint's image and the log after it.

use std::time::Duration;

use super::{Change, Retired, State};
use crate::clock::Clock;
use crate::entry::{Entry, Frame, ImageHead, ImageItem};
use crate::lease::Lease;
use crate::log::Replay;
use crate::record::Record;
use crate::types::{LeaseId, Revision};

/// Takes what recovery feeds. It decides nothing, but refuses what cannot have been logged.
pub(crate) struct Loader {
    state: State,
    monotonic: Duration,
    wall: Duration,
    /// Of an image, whose records come in key order; sorted when it is complete.
    changes: Vec<Change>,
}

impl Loader {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let (monotonic, wall) = (clock.monotonic(), clock.wall());
        Self { state: State::new(), monotonic, wall, changes: Vec::new() }
    }

    /// The recovered state, all of it published.
    pub(crate) fn finish(mut self) -> State {
        self.finish_image();
        self.state.publish();
        self.state
    }

    fn record(&mut self, record: &Record) {
        let state = &mut self.state;
        let compacted = state.compact_revision;
        let at = record.mod_revision();
        let change = state.index_record(state.index.find(record.key()), record.clone());
        if at >= compacted {
            self.changes.push(change);
        }
    }

    fn finish_image(&mut self) {
        self.changes.sort_unstable_by_key(|change| change.record.order());
        self.changes.drain(..).for_each(|change| self.state.history.push(change));
    }

    fn lease(&mut self, id: LeaseId, ttl_s: i64, expires_at: Duration) -> Result<(), String> {
        if self.state.leases.live(id).is_some() {
            return Err(format!("lease {} is granted twice", id.0));
        }
        let mut lease = Lease::new(ttl_s, self.state.sequence);
        lease.resume(expires_at, self.monotonic, self.wall);
        self.state.leases.grant(id, lease);
        Ok(())
    }

    fn write(&mut self, revision: Revision, records: Vec<Record>) -> Result<(), String> {
        let next = Revision(self.state.revision.0 + 1);
        if revision != next {
            return Err(format!("revision {} where {} comes next", revision.0, next.0));
        }
        for (sub_revision, record) in (0..).zip(records) {
            if record.order() != (revision, sub_revision) {
                return Err(format!("{record:?} in revision {} at {sub_revision}", revision.0));
            }
            self.state.apply(record);
        }
        self.state.revision = revision;
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        match entry {
            Entry::Write { revision, records } => self.write(revision, records),
            Entry::LeaseGrant { id, ttl_s, expires_at } => self.lease(id, ttl_s, expires_at),
            Entry::LeaseKeepAlive { id, expires_at } => {
                let lease = self.state.leases.live_mut(id);
                let lease = lease.ok_or_else(|| format!("no lease {} to renew", id.0))?;
                lease.resume(expires_at, self.monotonic, self.wall);
                Ok(())
            }
            Entry::LeaseEnd { id, revision } => {
                if self.state.leases.live(id).is_none() {
                    return Err(format!("no lease {} to end", id.0));
                }
                self.state.end_lease(id);
                if self.state.revision == revision {
                    return Ok(());
                }
                let found = self.state.revision.0;
                Err(format!("the end of lease {} makes revision {found}", id.0))
            }
            Entry::Compact { revision } => {
                if revision <= self.state.compact_revision || revision > self.state.revision {
                    return Err(format!("a compaction at {} cannot be", revision.0));
                }
                self.state.compact_revision = revision;
                while !self.state.retire(&mut Retired::new(revision), usize::MAX) {}
                Ok(())
            }
        }
    }
}

impl Replay for Loader {
    fn restart(&mut self) {
        self.state = State::new();
        self.changes.clear();
    }

    fn item(&mut self, item: ImageItem) -> Result<(), String> {
        match item {
            ImageItem::Head(ImageHead { sequence, revision, compact_revision, .. }) => {
                self.state.sequence = sequence;
                self.state.revision = revision;
                self.state.compact_revision = compact_revision;
                Ok(())
            }
            ImageItem::Lease { id, ttl_s, expires_at } => self.lease(id, ttl_s, expires_at),
            ImageItem::Record(record) => {
                self.record(&record);
                Ok(())
            }
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), String> {
        self.finish_image();
        self.state.sequence = frame.sequence;
        self.entry(frame.entry)?;
        self.state.publish();
        Ok(())
    }
}
