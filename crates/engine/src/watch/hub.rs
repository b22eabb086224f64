//! Hands new events to the watchers that are synced.
//!
//! The hub reads the history with a cursor: there is no queue between it and the writer, which only
//! wakes it. Whoever holds its lock may move the cursor on: its thread, and those who need to know
//! that everything published was handed out. A watcher whose stream is full leaves the hub and reads
//! history by itself, on its owner's thread, until it can join again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};

use parking_lot::Mutex;

use super::api::{Event, WatchId};
use super::interest::Interest;
use super::matcher::Matcher;
use super::outbox::{Ended, Outbox};
use crate::broken::{self, Defect};
use crate::state::Change;
use crate::store::Store;
use crate::types::Revision;

/// All streams and their synced watchers.
#[derive(Default)]
pub(crate) struct Hub {
    /// Lock order: a stream's control, then this, then `Store::state`, then an outbox.
    inner: Mutex<Inner>,
    /// Synced watchers. The writer wakes nobody when there are none.
    synced: AtomicUsize,
    /// All watchers.
    pub(crate) watchers: AtomicUsize,
    era: AtomicU64,
    woken: AtomicBool,
    thread: OnceLock<Thread>,
}

#[derive(Default)]
struct Inner {
    /// Everything up to here was handed out; means nothing while there are no slots in use.
    cursor: Revision,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    matcher: Matcher,
    streams: HashMap<usize, Arc<Outbox>>,
    closed: bool,
}

/// A synced watcher.
struct Slot {
    outbox: Arc<Outbox>,
    id: WatchId,
    interest: Arc<Interest>,
    /// The revision it asked to start at, if that was in the future; else zero.
    start: Revision,
    /// It wants nothing before.
    first: Revision,
    /// Gathered in the current pass.
    events: Vec<Event>,
}

/// A synced watcher's place; only together with its stream and identity does it mean anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotKey(usize);

impl Hub {
    /// The thread's body.
    pub(crate) fn run(&self, store: &Store) {
        let _ = self.thread.set(thread::current());
        loop {
            while !self.woken.swap(false, Ordering::SeqCst) {
                thread::park();
            }
            let mut inner = self.inner.lock();
            if inner.closed {
                return;
            }
            self.hand_out(&mut inner, store);
        }
    }

    /// There are new revisions. Costs nothing when nobody watches.
    pub(crate) fn published(&self) {
        if self.synced.load(Ordering::SeqCst) > 0 {
            self.wake();
        }
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Hands out everything published. After it nothing before the published revision is needed
    /// for synced watchers, so that a compaction may drop it.
    pub(crate) fn drain(&self, store: &Store) {
        self.hand_out(&mut self.inner.lock(), store);
    }

    /// Puts another state in the place of the store's: all watchers of the one before are told that
    /// what they want is compacted, after everything that was published.
    pub(crate) fn replace<T>(
        &self,
        store: &Store,
        compact_revision: Revision,
        swap: impl FnOnce() -> T,
    ) -> T {
        let mut inner = self.inner.lock();
        self.hand_out(&mut inner, store);
        let swapped = swap();
        let era = self.era.fetch_add(1, Ordering::SeqCst) + 1;
        inner.slots.clear();
        inner.free.clear();
        inner.matcher = Matcher::default();
        self.synced.store(0, Ordering::SeqCst);
        // Zero or less would not be read as a compaction.
        let told = Revision(compact_revision.0.max(1));
        for outbox in inner.streams.values() {
            outbox.end_era(Ended { before: era, compact_revision: told });
        }
        swapped
    }

    /// Counts the states that the store had. A watcher that was made before belongs to the one
    /// before.
    pub(crate) fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    /// Makes a stream known; false when the store is closed.
    pub(crate) fn open_stream(&self, outbox: &Arc<Outbox>) -> bool {
        let mut inner = self.inner.lock();
        let open = !inner.closed;
        if open {
            inner.streams.insert(Arc::as_ptr(outbox).addr(), Arc::clone(outbox));
        }
        open
    }

    pub(crate) fn close_stream(&self, outbox: &Arc<Outbox>) {
        self.inner.lock().streams.remove(&Arc::as_ptr(outbox).addr());
    }

    /// Hands out what is left and ends all streams.
    pub(crate) fn close(&self, store: &Store) {
        let mut inner = self.inner.lock();
        self.hand_out(&mut inner, store);
        inner.closed = true;
        for (_, outbox) in inner.streams.drain() {
            outbox.close();
        }
        drop(inner);
        self.wake();
    }

    /// Makes a watcher synced that wants what is published from now on, or from `start` if that is
    /// later. Returns the published revision of that moment; `None` when the store is closed.
    pub(crate) fn join_now(
        &self,
        store: &Store,
        outbox: &Arc<Outbox>,
        watcher: (WatchId, &Arc<Interest>),
        start: Revision,
    ) -> Option<(SlotKey, Revision)> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return None;
        }
        let none_before = self.synced.fetch_add(1, Ordering::SeqCst) == 0;
        let published = store.revision();
        if none_before {
            inner.cursor = published;
        }
        let first = start.max(Revision(published.0 + 1));
        let slot = inner.insert(outbox, watcher, start, first);
        Some((slot, published))
    }

    /// Makes a watcher synced that has seen everything through `seen`, unless the hub is ahead of
    /// that or the history after it may be gone: then it has to read on.
    pub(crate) fn join(
        &self,
        store: &Store,
        outbox: &Arc<Outbox>,
        watcher: (WatchId, &Arc<Interest>),
        seen: Revision,
    ) -> Option<SlotKey> {
        let mut inner = self.inner.lock();
        let none_before = self.synced.load(Ordering::SeqCst) == 0;
        let compact_revision = store.state.read().published.compact_revision;
        let behind = !none_before && inner.cursor > seen;
        if inner.closed || behind || compact_revision > Revision(seen.0 + 1) {
            return None;
        }
        self.synced.fetch_add(1, Ordering::SeqCst);
        if none_before {
            inner.cursor = seen;
        }
        let slot = inner.insert(outbox, watcher, Revision(0), Revision(seen.0 + 1));
        if store.revision() > inner.cursor {
            self.wake();
        }
        Some(slot)
    }

    pub(crate) fn leave(&self, outbox: &Arc<Outbox>, id: WatchId, key: SlotKey) {
        let mut inner = self.inner.lock();
        if inner.slot(outbox, id, key).is_some() {
            inner.remove(key);
            self.synced.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Answers a progress request if all these watchers are synced and have started.
    pub(crate) fn progress(
        &self,
        store: &Store,
        outbox: &Arc<Outbox>,
        watchers: &[(WatchId, SlotKey)],
        answer_as: Option<WatchId>,
    ) {
        let mut inner = self.inner.lock();
        self.hand_out(&mut inner, store);
        let cursor = inner.cursor;
        let ready = watchers.iter().all(|(id, key)| {
            inner.slot(outbox, *id, *key).is_some_and(|slot| slot.start <= cursor)
        });
        if ready && !watchers.is_empty() {
            let early = i64::from(broken::strikes(Defect::EarlyProgress));
            outbox.push_progress(answer_as, Revision(cursor.0 + early));
        }
    }

    /// Watchers that read history by themselves.
    pub(crate) fn catching_up(&self) -> usize {
        let synced = self.synced.load(Ordering::Relaxed);
        self.watchers.load(Ordering::Relaxed).saturating_sub(synced)
    }

    fn hand_out(&self, inner: &mut Inner, store: &Store) {
        while self.synced.load(Ordering::SeqCst) > 0 {
            let published = store.revision();
            let next = Revision(inner.cursor.0 + 1);
            if next > published {
                return;
            }
            let (changes, through) = store.state.read().history.read(next, published, |_| true);
            inner.cursor = through;
            let left = inner.dispatch(&changes);
            self.synced.fetch_sub(left, Ordering::SeqCst);
        }
    }
}

impl Inner {
    fn slot(&self, outbox: &Arc<Outbox>, id: WatchId, key: SlotKey) -> Option<&Slot> {
        let slot = self.slots.get(key.0)?.as_ref()?;
        (slot.id == id && Arc::ptr_eq(&slot.outbox, outbox)).then_some(slot)
    }

    fn insert(
        &mut self,
        outbox: &Arc<Outbox>,
        (id, interest): (WatchId, &Arc<Interest>),
        start: Revision,
        first: Revision,
    ) -> SlotKey {
        let slot = Slot {
            outbox: Arc::clone(outbox),
            id,
            interest: Arc::clone(interest),
            start,
            first,
            events: Vec::new(),
        };
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(place) = self.slots.get_mut(at) {
            *place = Some(slot);
        }
        self.matcher.insert(&interest.range, at);
        SlotKey(at)
    }

    fn remove(&mut self, SlotKey(at): SlotKey) {
        if let Some(slot) = self.slots.get_mut(at).and_then(Option::take) {
            self.matcher.remove(&slot.interest.range, at);
            self.free.push(at);
        }
    }

    /// Returns how many watchers fell behind.
    fn dispatch(&mut self, changes: &[Change]) -> usize {
        let Self { cursor, slots, matcher, .. } = self;
        let mut touched = Vec::new();
        for change in changes {
            matcher.find(change.record.key(), |at| {
                let Some(Some(slot)) = slots.get_mut(at) else { return };
                let wanted = change.record.mod_revision() >= slot.first
                    && slot.interest.wants_kind(&change.record)
                    && !broken::strikes(Defect::LostEvent);
                if wanted {
                    if slot.events.is_empty() {
                        touched.push(at);
                    }
                    slot.events.push(slot.interest.event(change));
                }
            });
        }
        let mut left = Vec::new();
        for at in touched {
            let Some(Some(slot)) = slots.get_mut(at) else { continue };
            let events = std::mem::take(&mut slot.events);
            if !slot.outbox.push_events(slot.id, *cursor, events) {
                left.push(SlotKey(at));
            }
        }
        let count = left.len();
        for key in left {
            self.remove(key);
        }
        count
    }
}
