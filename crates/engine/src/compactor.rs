//! The thread that drops what compactions made unreachable, slice by slice.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::hash_kv::REMEMBERED_MAX;
use crate::state::Retired;
use crate::store::Store;
use crate::types::Revision;

/// Changes dropped before readers and the writer are let in.
const SLICE_CHANGES: usize = 512;

/// What the thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Compactor {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Due>,
    closed: bool,
}

/// A published compaction that is not dropped yet.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// The one before it.
    from: Revision,
    through: Revision,
    /// Of the state that it is of.
    generation: u64,
}

impl Compactor {
    /// A compaction through a revision is durable and published; `from` was the one before it.
    pub(crate) fn start(&self, generation: u64, from: Revision, through: Revision) {
        let mut inner = self.inner.lock();
        inner.waiting.push_back(Due { from, through, generation });
        // Of so many the older hashes would be forgotten before anyone could ask for them, and the
        // newest compaction drops what all of them drop.
        if inner.waiting.len() > REMEMBERED_MAX {
            inner.waiting.pop_front();
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// The state is being replaced by another.
    pub(crate) fn forget(&self) {
        self.inner.lock().waiting.clear();
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.wake.notify_one();
    }

    /// The thread's body.
    pub(crate) fn run(&self, store: &Store) {
        while let Some(due) = self.wait() {
            store.pins.wait_until_free(due.through, &*store.clock);
            // Synced watchers must not lose what they have not been handed yet.
            store.hub.drain(store);
            if !remember(store, due) {
                continue;
            }
            let mut progress = Retired::new(due.through);
            loop {
                let pin = store.pin.write();
                let mut state = store.state.write();
                let replaced = state.generation != due.generation;
                let done = replaced || state.retire(&mut progress, SLICE_CHANGES);
                drop((state, pin));
                if done || self.inner.lock().closed {
                    break;
                }
            }
        }
    }

    fn wait(&self) -> Option<Due> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some(next) = inner.waiting.pop_front() {
                return Some(next);
            }
            self.wake.wait(&mut inner);
        }
    }
}

/// Makes the hash of what is to be dropped; false if the state is another by now.
fn remember(store: &Store, due: Due) -> bool {
    let _pin = store.pin.read();
    let current = store.state.read().generation == due.generation;
    if current {
        store.hashes.remember(store, due.from, due.through);
    }
    current
}
