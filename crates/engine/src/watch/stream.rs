//! A client's end of many watchers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::api::{Notify, WatchId, WatchItem, WatchRefused, WatchRequest};
use super::catch_up::{self, Batched};
use super::interest::Interest;
use super::outbox::{Ended, Outbox, Taken, events_bytes};
use super::synced::{SlotKey, StreamKey};
use crate::error::Error;
use crate::store::Store;
use crate::types::Revision;

/// History batches that one call of [`WatchStream::take`] reads at most.
const BATCHES_MAX: usize = 64;

/// Many watchers that share one queue. Dropping it ends them all.
pub struct WatchStream {
    store: Arc<Store>,
    outbox: Arc<Outbox>,
    /// The hub knows it by this.
    key: StreamKey,
    watchers_max: usize,
    /// Taken before the hub's lock.
    control: Mutex<Control>,
}

#[derive(Default)]
struct Control {
    watchers: BTreeMap<WatchId, Watcher>,
    next_id: i64,
    /// Those that are behind; may name some that are not, or are gone.
    behind: VecDeque<WatchId>,
}

struct Watcher {
    interest: Arc<Interest>,
    phase: Phase,
    /// Of the state that it was made on, or of the one before.
    generation: u64,
}

#[derive(Clone, Copy)]
enum Phase {
    /// The hub hands its events out, as long as the slot is still its own.
    Synced(SlotKey),
    /// It reads history from this revision on.
    Behind(Revision),
    /// It was told that its history is gone, and gets nothing more.
    Compacted,
}

impl WatchStream {
    pub(crate) fn open(
        store: &Arc<Store>,
        notify: Arc<dyn Notify>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let outbox = Arc::new(Outbox::new(limits.queue_bytes_max, notify));
        let key = store.hub.open_stream(&outbox)?;
        let watchers_max = limits.watchers_max;
        let store = Arc::clone(store);
        Ok(Self { store, outbox, key, watchers_max, control: Mutex::default() })
    }

    /// Makes a watcher. Returns its identity and the store's revision at that moment; its events
    /// start at the requested revision, or right after the returned one.
    pub fn create(&self, request: WatchRequest) -> Result<(WatchId, Revision), WatchRefused> {
        let start = request.start_revision;
        if start.0 < 0 {
            return Err(WatchRefused::NegativeStart);
        }
        let wanted_id = request.id;
        let interest = Arc::new(Interest::of(request)?);
        self.store.check_open().map_err(|_| WatchRefused::Closed)?;
        let mut control = self.control.lock();
        if control.watchers.len() >= self.watchers_max {
            return Err(WatchRefused::TooManyWatchers);
        }
        let id = control.choose_id(wanted_id)?;
        // Before the revision: a watcher may be told in vain that its state is gone, never not.
        let generation = self.store.state.read().generation;
        let joined = self.store.hub.join_now(&self.store, self.key, (id, &interest), start);
        let (slot, revision) = joined.ok_or(WatchRefused::Closed)?;
        if start.0 > 0 {
            // It would seem to speak for this watcher too, which has yet to see what was before.
            self.outbox.take_back_progress();
        }
        let phase = slot.map_or(Phase::Behind(start), Phase::Synced);
        if matches!(phase, Phase::Behind(_)) {
            control.behind.push_back(id);
        }
        control.watchers.insert(id, Watcher { interest, phase, generation });
        self.store.hub.watchers.fetch_add(1, Ordering::Relaxed);
        drop(control);
        if matches!(phase, Phase::Behind(_)) {
            self.outbox.tell();
        }
        Ok((id, revision))
    }

    /// Ends a watcher; false if there was none. Nothing of it is handed out afterwards.
    pub fn cancel(&self, id: WatchId) -> bool {
        let mut control = self.control.lock();
        let Some(watcher) = control.watchers.remove(&id) else { return false };
        if let Phase::Synced(slot) = watcher.phase {
            self.store.hub.leave(self.key, id, slot);
        }
        self.outbox.forget(id);
        self.store.hub.watchers.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Asks for progress: of one watcher, or of the whole stream with `None`. The answer comes
    /// through the queue, behind all events it speaks for. As in etcd there is none when the stream
    /// has no watcher, or while one of those asked about is behind or starts in the future; one that
    /// still waits when such a watcher is made is not handed out.
    pub fn request_progress(&self, id: Option<WatchId>) {
        let control = self.control.lock();
        let asked = control.watchers.iter().filter(|(other, _)| id.is_none_or(|id| id == **other));
        let synced: Option<Vec<_>> = asked
            .map(|(id, watcher)| match watcher.phase {
                Phase::Synced(slot) => Some((*id, slot)),
                Phase::Behind(_) | Phase::Compacted => None,
            })
            .collect();
        if let Some(watchers) = synced {
            self.store.hub.progress(&self.store, self.key, &watchers, id);
        }
    }

    /// Takes what is ready, up to about `bytes_max` of it (at least one item if there is one);
    /// watchers that are behind read their history here, in the caller's thread, in bounded
    /// batches. Empty: the stream's [`super::Notify`] will be told.
    pub fn take(&self, bytes_max: usize) -> Vec<WatchItem> {
        let mut control = self.control.lock();
        loop {
            let taken = self.outbox.take(bytes_max);
            let Taken { mut items, bytes, fallen_behind, emptied, ended } = taken;
            for (id, next) in fallen_behind {
                control.fall_behind(id, next);
            }
            if items.last().is_some_and(WatchItem::is_end) {
                control.behind.clear();
            }
            if let Some(ended) = ended {
                self.end_era(&mut control, ended, &mut items);
            }
            // What waits in the box comes before the history that its watchers have yet to read.
            if emptied {
                let left = bytes_max.saturating_sub(bytes);
                self.catch_up(&mut control, &mut items, left);
            }
            if !items.is_empty() {
                return items;
            }
            if !control.behind.is_empty() {
                // There is more history to look through, but it is somebody else's turn.
                drop(control);
                self.outbox.tell_again();
                return items;
            }
            if self.outbox.wait_to_be_told() {
                return items;
            }
        }
    }

    /// Whether a watcher may have history to read.
    pub fn is_behind(&self) -> bool {
        !self.control.lock().behind.is_empty()
    }

    /// The watchers of a state that is gone are told so, and get nothing more.
    fn end_era(&self, control: &mut Control, ended: Ended, items: &mut Vec<WatchItem>) {
        for (id, watcher) in &mut control.watchers {
            if watcher.generation >= ended.before {
                continue;
            }
            match std::mem::replace(&mut watcher.phase, Phase::Compacted) {
                Phase::Compacted => continue,
                Phase::Synced(slot) => self.store.hub.leave(self.key, *id, slot),
                Phase::Behind(_) => {}
            }
            let compact_revision = ended.compact_revision;
            items.push(WatchItem::Compacted { id: *id, compact_revision });
        }
    }

    fn catch_up(&self, control: &mut Control, items: &mut Vec<WatchItem>, bytes_max: usize) {
        let mut bytes = 0;
        for _ in 0..BATCHES_MAX {
            if bytes >= bytes_max && !items.is_empty() {
                return;
            }
            let Some(id) = control.behind.pop_front() else { return };
            let Some(watcher) = control.watchers.get_mut(&id) else { continue };
            let Phase::Behind(next) = watcher.phase else { continue };
            let generation = watcher.generation;
            let read = catch_up::read(&self.store, &watcher.interest, next, generation);
            let (events, through, revision) = match read {
                Batched::Events { events, through, published } => (events, through, published),
                Batched::Compacted(compact_revision) => {
                    watcher.phase = Phase::Compacted;
                    items.push(WatchItem::Compacted { id, compact_revision });
                    continue;
                }
                // It is told so by the hub, through the box.
                Batched::Replaced => continue,
            };
            if !events.is_empty() {
                bytes += events_bytes(events.iter());
                items.push(WatchItem::Events { id, revision, events });
            }
            watcher.phase = Phase::Behind(Revision(through.0 + 1));
            if through >= revision {
                let joining = (id, &watcher.interest);
                let seen = (through, generation);
                let slot = self.store.hub.join(&self.store, self.key, joining, seen);
                watcher.phase = slot.map_or(watcher.phase, Phase::Synced);
            }
            if matches!(watcher.phase, Phase::Behind(_)) {
                control.behind.push_back(id);
            }
        }
    }
}

/// What one stream may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) watchers_max: usize,
    pub(crate) queue_bytes_max: usize,
}

impl Control {
    fn choose_id(&mut self, wanted: Option<WatchId>) -> Result<WatchId, WatchRefused> {
        if let Some(id) = wanted {
            let taken = self.watchers.contains_key(&id);
            return if taken { Err(WatchRefused::DuplicateId) } else { Ok(id) };
        }
        while self.watchers.contains_key(&WatchId(self.next_id)) {
            self.next_id += 1;
        }
        let id = WatchId(self.next_id);
        self.next_id += 1;
        Ok(id)
    }

    fn fall_behind(&mut self, id: WatchId, next: Revision) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.phase = Phase::Behind(next);
            self.behind.push_back(id);
        }
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        let control = self.control.get_mut();
        for (id, watcher) in &control.watchers {
            if let Phase::Synced(slot) = watcher.phase {
                self.store.hub.leave(self.key, *id, slot);
            }
        }
        self.store.hub.watchers.fetch_sub(control.watchers.len(), Ordering::Relaxed);
        self.store.hub.close_stream(self.key);
    }
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watchers = self.control.lock().watchers.len();
        f.debug_struct("WatchStream").field("watchers", &watchers).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
