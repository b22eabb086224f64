//! Building the state from a checkpoint's image and the log after it.

use std::time::Duration;

use super::{Change, Moment, State};
use crate::clock::Clock;
use crate::entry::{Entry, Frame, ImageHead, ImageItem};
use crate::lease::Lease;
use crate::log::Replay;
use crate::record::Record;
use crate::types::{LeaseId, Revision};

/// Revision and sub-revision.
type Order = (Revision, u32);

/// Takes what recovery feeds. It decides nothing, but refuses what cannot have been logged.
pub(crate) struct Loader {
    state: State,
    now: Moment,
    /// Of an image, whose records come in key order; sorted when it is complete. Their order stands
    /// beside them: a record looked at anew is a wait for memory.
    changes: Vec<(Order, Change)>,
    /// Behind the image: what is unreachable since then is still there.
    compacted: bool,
}

impl Loader {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self { state: State::new(), now: Moment::now(clock), changes: Vec::new(), compacted: false }
    }

    /// The recovered state, all of it published.
    pub(crate) fn finish(mut self) -> State {
        self.finish_image();
        if self.compacted {
            self.state.retire_all();
        }
        self.state.publish();
        self.state
    }

    fn record(&mut self, record: Record) {
        let state = &mut self.state;
        let order = record.order();
        let position = state.index.find_at_end(record.key());
        let change = state.index_record(position, record);
        if order.0 >= state.compact_revision {
            self.changes.push((order, change));
        }
    }

    fn finish_image(&mut self) {
        self.changes.sort_unstable_by_key(|(order, _)| *order);
        self.changes.drain(..).for_each(|(_, change)| self.state.history.push(change));
    }

    fn lease(&mut self, id: LeaseId, ttl_s: i64, expires_at: Duration) -> Result<(), String> {
        if self.state.leases.live(id).is_some() {
            return Err(format!("lease {} is granted twice", id.0));
        }
        let mut lease = Lease::new(ttl_s, self.state.sequence);
        lease.resume(expires_at, self.now.monotonic, self.now.wall);
        self.state.leases.grant(id, lease);
        Ok(())
    }
}

impl Replay for Loader {
    fn restart(&mut self) {
        self.state = State::new();
        self.changes.clear();
        self.compacted = false;
    }

    fn item(&mut self, item: ImageItem) -> Result<(), String> {
        match item {
            ImageItem::Head(ImageHead { sequence, revision, compact_revision, .. }) => {
                self.state.sequence = sequence;
                self.state.revision = revision;
                self.state.compact_revision = compact_revision;
                Ok(())
            }
            ImageItem::Alarm(alarm) => {
                self.state.alarms.set(alarm, true);
                Ok(())
            }
            ImageItem::Lease { id, ttl_s, expires_at } => self.lease(id, ttl_s, expires_at),
            ImageItem::Record(record) => {
                self.record(record);
                Ok(())
            }
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), String> {
        self.finish_image();
        self.state.apply_entry(&frame.entry, self.now)?;
        self.compacted |= matches!(frame.entry, Entry::Compact { .. });
        self.state.publish();
        Ok(())
    }
}
