//! Hands new events to the watchers that are synced.
//!
//! The hub reads the history with a cursor: there is no queue between it and the writer, which only
//! wakes it. Whoever holds its lock may move the cursor on: its thread, and those who need to know
//! that everything published was handed out. A watcher whose stream is full leaves the hub and reads
//! history by itself, on its owner's thread, until it can join again.
//!
//! A panic while events are handed out, in whoever's thread, latches the store and ends all streams:
//! nobody knows which watchers got theirs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};

use parking_lot::Mutex;

use super::api::{WatchId, WatchItem};
use super::interest::Interest;
use super::outbox::{Ended, Outbox};
use super::synced::{SlotKey, StreamKey, Synced};
use crate::broken::{self, Defect};
use crate::error::Error;
use crate::store::Store;
use crate::types::Revision;

/// All streams and their synced watchers.
#[derive(Default)]
pub(crate) struct Hub {
    /// Lock order: a stream's control, then this, then `Store::state`, then an outbox.
    inner: Mutex<Synced>,
    /// Synced watchers. The writer wakes nobody when there are none.
    synced: AtomicUsize,
    /// All watchers.
    pub(crate) watchers: AtomicUsize,
    woken: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Hub {
    /// The thread's body.
    pub(crate) fn run(&self, store: &Store) {
        let _ = self.thread.set(thread::current());
        loop {
            while !self.woken.swap(false, Ordering::SeqCst) {
                thread::park();
            }
            let mut inner = self.inner.lock();
            if inner.ended.is_some() {
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
        let generation = store.state.read().generation;
        self.forget_watchers(&mut inner);
        // Zero or less would not be read as a compaction.
        let told = Revision(compact_revision.0.max(1));
        for outbox in inner.outboxes() {
            outbox.end_era(Ended { before: generation, compact_revision: told });
        }
        swapped
    }

    /// Makes a stream known.
    pub(crate) fn open_stream(&self, outbox: &Arc<Outbox>) -> Result<StreamKey, Error> {
        let mut inner = self.inner.lock();
        if let Some(reason) = &inner.ended {
            return Err(reason.clone());
        }
        Ok(inner.add_stream(outbox))
    }

    /// Forgets a stream, whose watchers have left.
    pub(crate) fn close_stream(&self, stream: StreamKey) {
        self.inner.lock().remove_stream(stream);
    }

    /// Hands out what is left and ends all streams.
    pub(crate) fn close(&self, store: &Store) {
        let mut inner = self.inner.lock();
        self.hand_out(&mut inner, store);
        self.end(&mut inner, &Error::Closed);
        drop(inner);
        self.wake();
    }

    /// Makes a watcher synced that wants what is published from now on, or from `start` if that is
    /// later; not one whose `start` is published, which has to read history first. Returns the
    /// published revision of that moment as well; `None` when all streams have ended.
    pub(crate) fn join_now(
        &self,
        store: &Store,
        stream: StreamKey,
        watcher: (WatchId, &Arc<Interest>),
        start: Revision,
    ) -> Option<(Option<SlotKey>, Revision)> {
        let mut inner = self.inner.lock();
        if inner.ended.is_some() {
            return None;
        }
        let none_before = self.synced.fetch_add(1, Ordering::SeqCst) == 0;
        // Only what is published after this wakes the hub for it.
        let published = store.revision();
        if (1..=published.0).contains(&start.0) {
            self.synced.fetch_sub(1, Ordering::SeqCst);
            return Some((None, published));
        }
        if none_before {
            inner.cursor = published;
        }
        let first = start.max(Revision(published.0 + 1));
        let slot = inner.insert(stream, watcher, start, first);
        Some((Some(slot), published))
    }

    /// Makes a watcher synced that has seen everything through `seen` of the state of a generation,
    /// unless the hub is ahead of that or the history after it may be gone: then it has to read on.
    pub(crate) fn join(
        &self,
        store: &Store,
        stream: StreamKey,
        watcher: (WatchId, &Arc<Interest>),
        (seen, generation): (Revision, u64),
    ) -> Option<SlotKey> {
        let mut inner = self.inner.lock();
        let none_before = self.synced.load(Ordering::SeqCst) == 0;
        let behind = !none_before && inner.cursor > seen;
        let state = store.state.read();
        // Revisions of another state say nothing about what the hub has to hand out of this one.
        let replaced = state.generation != generation;
        let gone = replaced || state.published.compact_revision > Revision(seen.0 + 1);
        drop(state);
        if inner.ended.is_some() || behind || gone {
            return None;
        }
        self.synced.fetch_add(1, Ordering::SeqCst);
        if none_before {
            inner.cursor = seen;
        }
        let slot = inner.insert(stream, watcher, Revision(0), Revision(seen.0 + 1));
        if store.revision() > inner.cursor {
            self.wake();
        }
        Some(slot)
    }

    pub(crate) fn leave(&self, stream: StreamKey, id: WatchId, key: SlotKey) {
        let mut inner = self.inner.lock();
        if inner.slot(stream, id, key).is_some() {
            inner.remove(key);
            self.synced.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Answers a progress request if all these watchers are synced and have started.
    pub(crate) fn progress(
        &self,
        store: &Store,
        stream: StreamKey,
        watchers: &[(WatchId, SlotKey)],
        answer_as: Option<WatchId>,
    ) {
        let mut inner = self.inner.lock();
        self.hand_out(&mut inner, store);
        let cursor = inner.cursor;
        let ready = watchers.iter().all(|(id, key)| {
            inner.slot(stream, *id, *key).is_some_and(|slot| slot.start <= cursor)
        });
        if ready
            && !watchers.is_empty()
            && let Some(outbox) = inner.outbox(stream)
        {
            let early = i64::from(broken::strikes(Defect::EarlyProgress));
            outbox.push_progress(answer_as, Revision(cursor.0 + early));
        }
    }

    /// Watchers that read history by themselves.
    pub(crate) fn catching_up(&self) -> usize {
        let synced = self.synced.load(Ordering::Relaxed);
        self.watchers.load(Ordering::Relaxed).saturating_sub(synced)
    }

    /// Open streams, and the events that they have not taken yet.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        inner.outboxes().fold((0, 0), |(streams, events), outbox| {
            (streams + 1, events + outbox.events_waiting())
        })
    }

    fn hand_out(&self, inner: &mut Synced, store: &Store) {
        let handed_out = catch_unwind(AssertUnwindSafe(|| self.hand_out_all(inner, store)));
        if let Err(panic) = handed_out {
            let latched = Error::latched_by_panic("watch hub", &*panic);
            store.queue.refuse(latched.clone());
            self.end(inner, &latched);
        }
    }

    /// Ends all streams. The first reason stays.
    fn end(&self, inner: &mut Synced, reason: &Error) {
        self.forget_watchers(inner);
        inner.ended.get_or_insert_with(|| reason.clone());
        for outbox in inner.take_streams() {
            // Whoever panics over this has been told.
            drop(catch_unwind(AssertUnwindSafe(|| outbox.close(WatchItem::end(reason)))));
        }
    }

    fn forget_watchers(&self, inner: &mut Synced) {
        inner.clear();
        self.synced.store(0, Ordering::SeqCst);
    }

    fn hand_out_all(&self, inner: &mut Synced, store: &Store) {
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

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
