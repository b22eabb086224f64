//! What waits to be taken from a stream: bounded.
//!
//! Events of a watcher join those of it that wait already: a client that is behind gets many
//! revisions in one message, as from etcd, and not a message for each. They may so overtake events of
//! other watchers, which have no order among each other, but nothing that tells of progress.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::api::{Event, Notify, WatchId, WatchItem};
use crate::types::Revision;

/// Counted for an item beside its events.
const ITEM_BYTES: usize = 64;

/// Nothing joins an item that is larger.
const JOINED_BYTES_MAX: usize = 64 << 10;

/// A stream's queue, filled by the hub and emptied by the stream's owner.
pub(crate) struct Outbox {
    bytes_max: usize,
    notify: Arc<dyn Notify>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    items: VecDeque<(usize, WatchItem)>,
    bytes: usize,
    /// How many items were taken.
    taken: usize,
    /// Where each watcher's last events are, counted from the first item there ever was: those
    /// that others may join.
    joinable: HashMap<WatchId, usize>,
    /// Watchers for which there was no room, with the revision they need next.
    fallen_behind: Vec<(WatchId, Revision)>,
    /// The state that watchers were made on is gone.
    ended: Option<Ended>,
    /// The owner was told that there is something, and has not found the box empty since.
    told: bool,
    closed: bool,
}

/// The store's state was replaced by another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Watchers made before this era are to be told.
    pub(crate) before: u64,
    /// What they are told.
    pub(crate) compact_revision: Revision,
}

/// What was in the box.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) items: Vec<WatchItem>,
    pub(crate) bytes: usize,
    pub(crate) fallen_behind: Vec<(WatchId, Revision)>,
    /// Whether nothing is left.
    pub(crate) emptied: bool,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize, notify: Arc<dyn Notify>) -> Self {
        Self { bytes_max, notify, inner: Mutex::default() }
    }

    /// Adds events; without room the watcher falls behind. False then.
    pub(crate) fn push_events(&self, id: WatchId, revision: Revision, events: Vec<Event>) -> bool {
        let next = events.first().map_or(revision, |event| event.record.mod_revision());
        let bytes = events_bytes(&events);
        let pushed = self.push(bytes, WatchItem::Events { id, revision, events });
        if !pushed {
            self.inner.lock().fallen_behind.push((id, next));
        }
        pushed
    }

    /// Adds an answer to a progress request; without room there is none.
    pub(crate) fn push_progress(&self, id: Option<WatchId>, revision: Revision) {
        self.push(ITEM_BYTES, WatchItem::Progress { id, revision });
    }

    /// The last item.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.closed = true;
            inner.items.push_back((ITEM_BYTES, WatchItem::Closed));
        }
        drop(inner);
        self.tell();
    }

    /// What is in the box is handed out first.
    pub(crate) fn end_era(&self, ended: Ended) {
        self.inner.lock().ended = Some(ended);
        self.tell();
    }

    /// Whether watchers are to be told that their state is gone; to be asked when the box is empty.
    pub(crate) fn take_ended(&self) -> Option<Ended> {
        self.inner.lock().ended.take()
    }

    /// An empty box takes one item of any size.
    fn push(&self, bytes: usize, item: WatchItem) -> bool {
        let mut inner = self.inner.lock();
        let full = inner.bytes + bytes > self.bytes_max && !inner.items.is_empty();
        if full || inner.closed {
            return false;
        }
        inner.bytes += bytes;
        inner.add(bytes, item);
        drop(inner);
        self.tell();
        true
    }

    /// Lets the owner know that there is something to take, once.
    pub(crate) fn tell(&self) {
        let told = std::mem::replace(&mut self.inner.lock().told, true);
        if !told {
            self.notify.notify();
        }
    }

    /// Lets the owner know whether or not he knows.
    pub(crate) fn tell_again(&self) {
        self.inner.lock().told = true;
        self.notify.notify();
    }

    /// Takes about `bytes_max`, at least one item if there is one.
    pub(crate) fn take(&self, bytes_max: usize) -> Taken {
        let mut inner = self.inner.lock();
        let mut taken = Taken::default();
        while taken.items.is_empty() || taken.bytes < bytes_max {
            let Some((bytes, item)) = inner.items.pop_front() else { break };
            inner.bytes -= bytes.min(inner.bytes);
            inner.taken += 1;
            taken.bytes += bytes;
            taken.items.push(item);
        }
        if inner.items.is_empty() {
            inner.joinable.clear();
        }
        taken.fallen_behind = std::mem::take(&mut inner.fallen_behind);
        taken.emptied = inner.items.is_empty();
        taken
    }

    /// The owner found nothing and waits to be told; false if there is something after all.
    pub(crate) fn wait_to_be_told(&self) -> bool {
        let mut inner = self.inner.lock();
        let nothing = inner.items.is_empty() && inner.ended.is_none();
        if nothing {
            inner.told = false;
        }
        nothing
    }

    /// Drops what waits for one watcher.
    pub(crate) fn forget(&self, id: WatchId) {
        let mut inner = self.inner.lock();
        inner.items.retain(|(_, item)| match item {
            WatchItem::Events { id: other, .. } | WatchItem::Compacted { id: other, .. } => {
                *other != id
            }
            WatchItem::Progress { id: other, .. } => *other != Some(id),
            WatchItem::Closed => true,
        });
        inner.bytes = inner.items.iter().map(|(bytes, _)| bytes).sum();
        inner.joinable.clear();
        inner.fallen_behind.retain(|(other, _)| *other != id);
    }
}

impl Inner {
    fn add(&mut self, bytes: usize, item: WatchItem) {
        let item = match item {
            WatchItem::Events { id, revision, events } => match self.waiting(id) {
                Some((waiting_bytes, WatchItem::Events { revision: last, events: before, .. }))
                    if *waiting_bytes < JOINED_BYTES_MAX =>
                {
                    *waiting_bytes += bytes;
                    *last = revision;
                    before.extend(events);
                    return;
                }
                _ => {
                    self.joinable.insert(id, self.taken + self.items.len());
                    WatchItem::Events { id, revision, events }
                }
            },
            other => {
                self.joinable.clear();
                other
            }
        };
        self.items.push_back((bytes, item));
    }

    /// The watcher's last events, if they wait and nothing but events is behind them.
    fn waiting(&mut self, id: WatchId) -> Option<&mut (usize, WatchItem)> {
        let at = self.joinable.get(&id)?.checked_sub(self.taken)?;
        self.items.get_mut(at)
    }
}

/// What events count against a queue's bound.
pub(crate) fn events_bytes(events: &[Event]) -> usize {
    let bytes = |event: &Event| {
        let previous = event.previous.as_ref().map_or(0, |record| record.message().len());
        event.record.message().len() + previous + ITEM_BYTES
    };
    ITEM_BYTES + events.iter().map(bytes).sum::<usize>()
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
