//! What waits to be taken from a stream: bounded.
//!
//! Events of a watcher join those of it that wait already: a client that is behind gets many
//! revisions in one message, as from etcd, and not a message for each. They may so overtake events of
//! other watchers, which have no order among each other, but nothing that tells of progress.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::api::{Event, Notify, WatchId, WatchItem};
use super::events::Events;
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
    /// How often something came that no events may be put before: what waited then is not joined.
    era: u64,
    /// Watchers for which there was no room, with the revision they need next.
    fallen_behind: Vec<(WatchId, Revision)>,
    /// The state that watchers were made on is gone.
    ended: Option<Ended>,
    /// The owner was told that there is something, and has not found the box empty since.
    told: bool,
    closed: bool,
}

/// Where a watcher's last events are, if they wait: the hub keeps it for each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// 0: there are none.
    era: u64,
    /// Counted from the first item there ever was.
    at: usize,
}

/// The box while the hub puts events of many watchers into it.
pub(crate) struct Filling<'a> {
    outbox: &'a Outbox,
    inner: MutexGuard<'a, Inner>,
    /// Whether there is something to take that was not there before.
    added: bool,
}

/// The store's state was replaced by another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Watchers of the states before this generation are to be told.
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
    /// Watchers are to be told that their state is gone. Only when nothing is left.
    pub(crate) ended: Option<Ended>,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize, notify: Arc<dyn Notify>) -> Self {
        Self { bytes_max, notify, inner: Mutex::new(Inner { era: 1, ..Inner::default() }) }
    }

    /// Nobody takes anything until it is [`Filling::done`].
    pub(crate) fn fill(&self) -> Filling<'_> {
        Filling { outbox: self, inner: self.inner.lock(), added: false }
    }

    /// Adds an answer to a progress request; without room there is none.
    pub(crate) fn push_progress(&self, id: Option<WatchId>, revision: Revision) {
        let mut inner = self.inner.lock();
        if inner.has_room(ITEM_BYTES, self.bytes_max) {
            inner.bytes += ITEM_BYTES;
            inner.era += 1;
            inner.items.push_back((ITEM_BYTES, WatchItem::Progress { id, revision }));
            drop(inner);
            self.tell();
        }
    }

    /// Adds the last item.
    pub(crate) fn close(&self, end: WatchItem) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.closed = true;
            inner.items.push_back((ITEM_BYTES, end));
        }
        drop(inner);
        self.tell();
    }

    /// What is in the box is handed out first.
    pub(crate) fn end_era(&self, ended: Ended) {
        self.inner.lock().ended = Some(ended);
        self.tell();
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
        taken.fallen_behind = std::mem::take(&mut inner.fallen_behind);
        taken.emptied = inner.items.is_empty();
        if taken.emptied {
            taken.ended = inner.ended.take();
        }
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

    /// How many events wait.
    pub(crate) fn events_waiting(&self) -> usize {
        let events = |(_, item): &(usize, WatchItem)| match item {
            WatchItem::Events { events, .. } => events.len(),
            _ => 0,
        };
        self.inner.lock().items.iter().map(events).sum()
    }

    /// Drops what waits for one watcher.
    pub(crate) fn forget(&self, id: WatchId) {
        let mut inner = self.inner.lock();
        inner.retain(|item| match item {
            WatchItem::Events { id: other, .. } | WatchItem::Compacted { id: other, .. } => {
                *other != id
            }
            WatchItem::Progress { id: other, .. } => *other != Some(id),
            WatchItem::Closed | WatchItem::Latched { .. } => true,
        });
        inner.fallen_behind.retain(|(other, _)| *other != id);
    }

    /// Drops the answers that wait to requests about the whole stream.
    pub(crate) fn take_back_progress(&self) {
        let of_stream = |item: &WatchItem| matches!(item, WatchItem::Progress { id: None, .. });
        self.inner.lock().retain(|item| !of_stream(item));
    }
}

impl Filling<'_> {
    /// Adds events of a watcher; without room it falls behind. False then. What is noted of it is
    /// taken with what fills the box, of which the owner was told: later he might not look.
    pub(crate) fn push(
        &mut self,
        id: WatchId,
        revision: Revision,
        (events, bytes): (Events, usize),
        place: &mut Place,
    ) -> bool {
        let inner = &mut *self.inner;
        if !inner.has_room(bytes, self.outbox.bytes_max) {
            let next = events.iter().next().map_or(revision, |event| event.record.mod_revision());
            inner.fallen_behind.push((id, next));
            return false;
        }
        self.added = true;
        inner.bytes += bytes;
        match inner.waiting(*place) {
            Some((waiting_bytes, WatchItem::Events { revision: last, events: before, .. }))
                if *waiting_bytes < JOINED_BYTES_MAX =>
            {
                *waiting_bytes += bytes;
                *last = revision;
                before.join(events);
            }
            _ => {
                *place = Place { era: inner.era, at: inner.taken + inner.items.len() };
                inner.items.push_back((bytes, WatchItem::Events { id, revision, events }));
            }
        }
        true
    }

    /// Lets the owner know that there is something to take, once for all of it.
    pub(crate) fn done(mut self) {
        let told = !self.added || std::mem::replace(&mut self.inner.told, true);
        drop(self.inner);
        if !told {
            self.outbox.notify.notify();
        }
    }
}

impl Inner {
    /// An empty box takes one item of any size.
    fn has_room(&self, bytes: usize, bytes_max: usize) -> bool {
        !self.closed && (self.bytes + bytes <= bytes_max || self.items.is_empty())
    }

    fn retain(&mut self, keep: impl Fn(&WatchItem) -> bool) {
        self.items.retain(|(_, item)| keep(item));
        self.bytes = self.items.iter().map(|(bytes, _)| bytes).sum();
        self.era += 1;
    }

    /// The watcher's last events, if they wait and nothing but events is behind them.
    fn waiting(&mut self, place: Place) -> Option<&mut (usize, WatchItem)> {
        let at = place.at.checked_sub(self.taken).filter(|_| place.era == self.era)?;
        self.items.get_mut(at)
    }
}

/// What events count against a queue's bound, in full for each watcher that shares them.
pub(crate) fn events_bytes<'a>(events: impl IntoIterator<Item = &'a Event>) -> usize {
    let bytes = |event: &Event| {
        let previous = event.previous.as_ref().map_or(0, |record| record.message().len());
        event.record.message().len() + previous + ITEM_BYTES
    };
    ITEM_BYTES + events.into_iter().map(bytes).sum::<usize>()
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
