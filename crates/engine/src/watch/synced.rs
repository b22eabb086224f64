//! The streams and their synced watchers: for whom new events are.

use std::sync::Arc;

use slab::Slab;

use super::api::WatchId;
use super::interest::Interest;
use super::matcher::Matcher;
use super::outbox::{Outbox, Place};
use super::pass::{self, Share};
use crate::error::Error;
use crate::state::Change;
use crate::types::Revision;

/// What the hub's lock guards.
#[derive(Default)]
pub(super) struct Synced {
    /// Everything up to here was handed out; means nothing while there are no watchers.
    pub(super) cursor: Revision,
    /// Why nothing is handed out any more.
    pub(super) ended: Option<Error>,
    slots: Slab<Slot>,
    matcher: Matcher,
    streams: Slab<Stream>,
}

struct Stream {
    outbox: Arc<Outbox>,
    /// What it is handed in the current pass, by the slots of its watchers.
    shares: Vec<(usize, Share)>,
}

/// A synced watcher.
pub(super) struct Slot {
    stream: StreamKey,
    id: WatchId,
    interest: Arc<Interest>,
    /// The revision it asked to start at, if that was in the future; else zero.
    pub(super) start: Revision,
    /// It wants nothing before.
    first: Revision,
    /// Of its last events in the outbox.
    place: Place,
}

/// A stream's place, for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamKey(usize);

/// A synced watcher's place; only together with its stream and identity does it mean anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotKey(usize);

impl Synced {
    pub(super) fn add_stream(&mut self, outbox: &Arc<Outbox>) -> StreamKey {
        let stream = Stream { outbox: Arc::clone(outbox), shares: Vec::new() };
        StreamKey(self.streams.insert(stream))
    }

    pub(super) fn remove_stream(&mut self, key: StreamKey) {
        self.streams.try_remove(key.0);
    }

    pub(super) fn outbox(&self, key: StreamKey) -> Option<&Outbox> {
        Some(&self.streams.get(key.0)?.outbox)
    }

    pub(super) fn outboxes(&self) -> impl Iterator<Item = &Outbox> {
        self.streams.iter().map(|(_, stream)| &*stream.outbox)
    }

    /// All of them; none is left.
    pub(super) fn take_streams(&mut self) -> impl Iterator<Item = Arc<Outbox>> {
        self.streams.drain().map(|stream| stream.outbox)
    }

    pub(super) fn slot(&self, stream: StreamKey, id: WatchId, key: SlotKey) -> Option<&Slot> {
        self.slots.get(key.0).filter(|slot| slot.id == id && slot.stream == stream)
    }

    pub(super) fn insert(
        &mut self,
        stream: StreamKey,
        (id, interest): (WatchId, &Arc<Interest>),
        start: Revision,
        first: Revision,
    ) -> SlotKey {
        let place = Place::default();
        let at = self.slots.insert(Slot {
            stream,
            id,
            interest: Arc::clone(interest),
            start,
            first,
            place,
        });
        self.matcher.insert(&interest.range, at);
        SlotKey(at)
    }

    pub(super) fn remove(&mut self, key: SlotKey) {
        if let Some(slot) = self.slots.try_remove(key.0) {
            self.matcher.remove(&slot.interest.range, key.0);
        }
    }

    /// Forgets all watchers.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.matcher = Matcher::default();
    }

    /// Puts changes into the boxes of those who want them. Returns how many watchers found no room,
    /// and are synced no more.
    pub(super) fn dispatch(&mut self, changes: &[Change]) -> usize {
        self.matcher.settle();
        let touched = self.share_out(changes);
        let mut left = Vec::new();
        for key in touched {
            let Some(stream) = self.streams.get_mut(key.0) else { continue };
            let mut box_of_stream = stream.outbox.fill();
            for (at, Share { events, bytes }) in std::mem::take(&mut stream.shares) {
                let Some(slot) = self.slots.get_mut(at) else { continue };
                let counted = (events, bytes);
                if !box_of_stream.push(slot.id, self.cursor, counted, &mut slot.place) {
                    left.push(SlotKey(at));
                }
            }
            box_of_stream.done();
        }
        let count = left.len();
        for key in left {
            self.remove(key);
        }
        count
    }

    /// Finds out what each watcher gets; returns the streams that have something then.
    fn share_out(&mut self, changes: &[Change]) -> Vec<StreamKey> {
        let mut touched = Vec::new();
        for mut matched in pass::by_range(&self.matcher, changes) {
            for &at in matched.watchers {
                let Some(slot) = self.slots.get(at) else { continue };
                let Some(share) = matched.share(slot.interest.kinds, slot.first) else { continue };
                let Some(stream) = self.streams.get_mut(slot.stream.0) else { continue };
                if stream.shares.is_empty() {
                    touched.push(slot.stream);
                }
                stream.shares.push((at, share));
            }
        }
        touched
    }
}
