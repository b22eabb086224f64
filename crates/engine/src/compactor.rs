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
    /// Published compactions that are not dropped yet, with the one before each.
    waiting: VecDeque<(Revision, Revision)>,
    closed: bool,
}

impl Compactor {
    /// A compaction through a revision is durable and published; `from` was the one before it.
    pub(crate) fn start(&self, from: Revision, through: Revision) {
        let mut inner = self.inner.lock();
        inner.waiting.push_back((from, through));
        // Of so many the older hashes would be forgotten before anyone could ask for them, and the
        // newest compaction drops what all of them drop.
        if inner.waiting.len() > REMEMBERED_MAX {
            inner.waiting.pop_front();
        }
        drop(inner);
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.wake.notify_one();
    }

    /// The thread's body.
    pub(crate) fn run(&self, store: &Store) {
        while let Some((from, through)) = self.wait() {
            store.pins.wait_until_free(through, &*store.clock);
            // Synced watchers must not lose what they have not been handed yet.
            store.hub.drain(store);
            store.hashes.remember(store, from, through);
            let mut progress = Retired::new(through);
            loop {
                let pin = store.pin.write();
                let done = store.state.write().retire(&mut progress, SLICE_CHANGES);
                drop(pin);
                if done || self.inner.lock().closed {
                    break;
                }
            }
        }
    }

    fn wait(&self) -> Option<(Revision, Revision)> {
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
